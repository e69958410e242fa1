"""Writes the group `/layer` of a `.net` file in the form that netx 0.6.0 reads: one layer a synapse.

A layer carries the neurons of its synapse's target; where several synapses end at one population, its bias stands on
the first. Weights are effective integers, mantissa << exponent, because netx derives or ignores exponents; with a
negative exponent, which netx cannot express, they are the mantissas.

A diagonal is a depthwise convolution, which netx reads behind (C, H, W) maps of its shape only. Elsewhere in a chain a
small one is written as the matrix that it is, so that netx can read the chain.

A population with a loop of its own stands in one layer `dense_rec`, with the loop's weights as `weight_rec`, where netx
reads that as the same: in a chain, both matrices dense, the loop late by the one step that netx has, and neither matrix
changed by the scale and precision that netx picks for the two. Else each of its synapses has a layer.

Sparse synapses stand in a layer of a type of our own, `sparse`, which netx does not know: weight, columns, row_starts
and delay as in `ir.Sparse`.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import h5py
import numpy as np
import numpy.typing as npt

from snnergy.artefacts.types import IntArray, Shape
from snnergy.neuromorphic.ir import (
    Conv2d,
    Dense,
    QuantNet,
    QuantPopulation,
    QuantSynapse,
    Sparse,
    is_late,
    subtracts,
)
from snnergy.neuromorphic.limits import DELAY_MAX
from snnergy.neuromorphic.loops import groups, way_around
from snnergy.neuromorphic.netx.stock_weights import stock_dense_weight, stock_joint_weights

# Neurons up to which a diagonal is written as a matrix; a matrix of this many rows takes 4 MB before compression.
_MATRIX_MAX = 1024


def write_layers(file: h5py.File, net: QuantNet) -> list[int]:
    """Write `/layer` and return the index of each synapse's layer, in the order of `net.synapses`."""
    net = _in_netx_terms(net)
    layers = file.create_group("layer")
    maps = _map_nodes(net)
    recurrent = _recurrent(net)
    for port in net.inputs:
        _new_layer(layers, "input", port.shape)
    order = {population.name: rank for rank, population in enumerate(net.populations)}
    ranked = sorted(range(len(net.synapses)), key=lambda i: order[net.synapses[i].target])
    indices = [0] * len(net.synapses)
    begun: set[str] = set()
    for i in ranked:
        synapse = net.synapses[i]
        loop = recurrent.get(synapse.target)
        if loop is not None and synapse.source == synapse.target:
            continue
        if isinstance(synapse.operator, Dense) and synapse.source in maps:
            _new_layer(layers, "flatten", synapse.operator.input_shape)
        indices[i] = len(layers)
        layer = _write_synapse(layers, synapse, loop)
        if loop is not None:
            indices[next(j for j in ranked if net.synapses[j] is loop)] = indices[i]
        population = net.population(synapse.target)
        _write_neurons(layer, population)
        if synapse.target not in begun:
            _write_bias(layer, population, synapse)
        begun.add(synapse.target)
    return indices


def stock_obstacles(net: QuantNet) -> tuple[str, ...]:
    """Why stock `lava.lib.dl.netx.hdf5.Network` would not reproduce `net`; empty where it gives the same spikes.

    One sample is meant: what is on a delayed way or in a loop at a sample's end reaches the next in stock Lava.
    """
    preds = net.preds()
    loops = [" → ".join(way_around(g[0], preds, g)) for g in groups(preds, preds) if len(g) > 1]
    if loops:
        return tuple(f"the loop {loop}: netx reads a chain of layers, which feed themselves at most" for loop in loops)
    if not _is_chain(net):
        return ("the network branches, netx reads a chain of layers",)
    net = _in_netx_terms(net)
    maps = _map_nodes(net)
    found = []
    for population in net.populations:
        synapse, own = _fed_by(net, population)
        named = f"{synapse.source} → {synapse.target}"
        weight = _stored_weight(synapse)
        found += _neuron_obstacles(population)
        found += [f"{population.name} → {population.name}: {problem}" for problem in _loop_obstacles(synapse, own)]
        if isinstance(synapse.operator, Sparse):
            found.append(f"{named}: netx has dense and conv layers, none of sparse synapses")
            continue
        if synapse.exponent < 0:
            found.append(f"{named}: netx has no exponent {synapse.exponent}")
        if isinstance(synapse.operator, Conv2d):
            if synapse.delay:
                found.append(f"{named}: netx has no delays in a conv layer")
            if maps.get(synapse.source) != synapse.operator.input_shape:
                found.append(f"{named}: netx needs an input of {synapse.operator.input_shape}, as (C, H, W) maps")
            if _channel_bias(population, synapse.operator) is None:
                found.append(f"{population.name}: bias differs within a channel, netx has one a channel")
            continue
        if synapse.delay + (0 if synapse.operator.delays is None else int(synapse.operator.delays.max())) > DELAY_MAX:
            found.append(f"{named}: netx clips delays to {DELAY_MAX}")
        if own:  # its weights have been judged with those
            continue
        try:
            if (stock_dense_weight(weight) != weight).any():
                found.append(f"{named}: netx clips or truncates weights {weight.min()}..{weight.max()}")
        except ValueError as error:
            found.append(f"{named}: {error}")
    return tuple(found)


def _fed_by(net: QuantNet, population: QuantPopulation) -> tuple[QuantSynapse, list[QuantSynapse]]:
    """Of a population of a chain, the synapse from the node before it and those from itself."""
    into = [s for s in net.synapses if s.target == population.name]
    return next(s for s in into if s.source != s.target), [s for s in into if s.source == s.target]


def _recurrent(net: QuantNet) -> dict[str, QuantSynapse]:
    """The loops that a recurrent layer of netx has, by their population."""
    fed = {p.name: _fed_by(net, p) for p in net.populations} if _is_chain(net) else {}
    return {name: own[0] for name, (forward, own) in fed.items() if own and not _loop_obstacles(forward, own)}


def _loop_obstacles(forward: QuantSynapse, own: list[QuantSynapse]) -> list[str]:
    """Why a layer of netx that `forward` leads to cannot have `own` as its loop, if there are any."""
    if not own:
        return []
    both = (forward, own[0])
    if len(own) > 1 or not all(isinstance(s.operator, Dense) for s in both):
        return ["netx feeds a layer back through one dense matrix, beside another from the layer before"]
    if (forward.delay, own[0].delay) != (0, 1) or any(s.operator.delays is not None for s in both):
        return ["netx feeds a layer back one step later, and has no other delays there"]
    if any(s.exponent < 0 for s in both):
        return [f"netx has no exponents {forward.exponent} and {own[0].exponent}"]
    weights = [_stored_weight(s) for s in both]
    try:
        acting = stock_joint_weights(*weights, scaled_back=True)
    except ValueError as error:
        return [str(error)]
    if any((was != becomes).any() for was, becomes in zip(weights, acting, strict=True)):
        return ["netx clips or truncates weights, as it picks one scale for these and those from the layer before"]
    return []


def _neuron_obstacles(population: QuantPopulation) -> list[str]:
    found = []
    if population.du.size > 1 or population.dv.size > 1:
        found.append(f"{population.name}: decays differ between neurons, netx has one a layer")
    if subtracts(population.reset):
        found.append(f"{population.name}: netx has no reset by subtraction")
    if is_late(population.reset):
        found.append(f"{population.name}: netx has no reset a step late")
    if population.spikes == "many":
        found.append(f"{population.name}: netx has no neurons of several spikes a step")
    return found


def _is_chain(net: QuantNet) -> bool:
    chain = [port.name for port in net.inputs] + [p.name for p in net.populations]
    ends = [(s.source, s.target) for s in net.synapses if s.source != s.target]
    return len(net.inputs) == 1 and ends == list(pairwise(chain))


def _in_netx_terms(net: QuantNet) -> QuantNet:
    """`net` with the diagonals of a chain that netx cannot read as convolutions as matrices, while they are small."""
    if not _is_chain(net):
        return net
    synapses: list[QuantSynapse] = []
    maps: Shape | None = net.inputs[0].shape
    for synapse in net.synapses:
        operator = synapse.operator
        loop = synapse.source == synapse.target
        if isinstance(operator, Conv2d) and operator.is_diagonal and (loop or maps != operator.input_shape):
            size = int(np.prod(operator.input_shape))
            if size <= _MATRIX_MAX:
                diagonal = np.broadcast_to(operator.weight[:, :, :, 0], operator.input_shape).reshape(-1)
                synapse = replace(synapse, operator=Dense(np.diag(diagonal)))
        if not loop:
            maps = synapse.operator.output_shape if isinstance(synapse.operator, Conv2d) else None
        synapses.append(synapse)
    return replace(net, synapses=tuple(synapses))


def _map_nodes(net: QuantNet) -> dict[str, Shape]:
    """Nodes that netx holds as (C, H, W) maps, each with that shape: inputs of rank 3 and targets of a convolution."""
    maps: dict[str, Shape] = {port.name: port.shape for port in net.inputs if len(port.shape) == 3}
    maps.update({s.target: s.operator.output_shape for s in net.synapses if isinstance(s.operator, Conv2d)})
    return maps


def _new_layer(layers: h5py.Group, kind: str, shape: Shape) -> h5py.Group:
    layer = layers.create_group(str(len(layers)))
    layer["type"] = np.array([kind], "S10")
    layer["shape"] = np.asarray(shape, np.int64)
    return layer


def _write_synapse(layers: h5py.Group, synapse: QuantSynapse, loop: QuantSynapse | None) -> h5py.Group:
    operator = synapse.operator
    weight = _stored_weight(synapse).astype(np.float32)
    if isinstance(operator, Conv2d):
        layer = _new_layer(layers, "conv", operator.output_shape)
        layer["inChannels"], layer["outChannels"] = operator.input_shape[0], weight.shape[0]
        layer["kernelSize"] = np.asarray(weight.shape[2:], np.int64)
        for name in ("stride", "padding", "dilation"):
            layer[name] = np.asarray(getattr(operator, name), np.int64)
        layer["groups"] = operator.groups
    elif isinstance(operator, Sparse):
        layer = _new_layer(layers, "sparse", operator.output_shape)
        layer["columns"], layer["row_starts"] = operator.columns, operator.row_starts
    else:
        layer = _new_layer(layers, "dense" if loop is None else "dense_rec", operator.output_shape)
        layer["outFeatures"], layer["inFeatures"] = weight.shape
    if operator.delays is not None or (synapse.delay and isinstance(operator, Dense)):
        own = np.zeros(weight.shape, np.int64) if operator.delays is None else operator.delays.astype(np.int64)
        layer["delay"] = own + synapse.delay
    layer["weight"] = weight
    if loop is not None:
        layer["weight_rec"] = _stored_weight(loop).astype(np.float32)
    return layer


def _stored_weight(synapse: QuantSynapse) -> npt.NDArray[np.int64]:
    return synapse.operator.weight.astype(np.int64) << max(synapse.exponent, 0)


def _write_neurons(layer: h5py.Group, population: QuantPopulation) -> None:
    neuron = layer.create_group("neuron")
    neuron["type"] = np.bytes_("CUBA")
    # Arrays where neurons differ, which netx refuses to read instead of reading something else.
    neuron["iDecay"], neuron["vDecay"] = (d[0] if d.size == 1 else d for d in (population.du, population.dv))
    neuron["vThMant"] = population.vth
    neuron["refDelay"], neuron["gradedSpike"] = 1, population.spikes == "many"


def _write_bias(layer: h5py.Group, population: QuantPopulation, synapse: QuantSynapse) -> None:
    """Bias as netx reads it; one that differs within a conv channel stands in `/graph` only."""
    operator = synapse.operator
    bias = _channel_bias(population, operator) if isinstance(operator, Conv2d) else _spread(population)
    if bias is not None and bias.any():
        layer["bias"] = bias


def _spread(population: QuantPopulation) -> IntArray:
    return np.broadcast_to(population.bias.reshape(-1), (population.size,))


def _channel_bias(population: QuantPopulation, operator: Conv2d) -> IntArray | None:
    """One bias a channel, `(C,)`, or None where neurons of a channel differ."""
    maps = _spread(population).reshape(operator.output_shape[0], -1)
    return maps[:, 0] if (maps == maps[:, :1]).all() else None
