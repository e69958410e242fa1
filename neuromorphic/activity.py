"""Writes activity.h5: every node's recorded values with the labels, fan-outs and counts that an energy ledger needs.

    attrs   format, version, time_steps, samples, backend, model, provenance (JSON)
    /label /prediction (samples,)   /logits (samples, classes)
    /nodes/<name>   attrs kind, shape, value_class, role, stage, block, modality, memoryless, scale, biased
        values (samples, T, *shape); u, v the same where recorded
    /edges/<i>      attrs source, target, kind, origin (JSON), learned, parameters, nonzero_parameters
        fan_out, fan_out_nonzero (*source shape): targets that one event of each source neuron reaches
        delivered, delivered_nonzero (samples, T): synaptic events counted by the simulator at the targets
Stage and block are −1 where a graph does not say; biased is the number of neurons whose bias is not zero.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch.nn.grad import conv2d_input

from snnergy.artefacts.files import written_whole
from snnergy.artefacts.types import IntArray, Labels, Shape
from snnergy.neuromorphic import decode
from snnergy.neuromorphic.ir import Dense, QuantNet, QuantSynapse
from snnergy.neuromorphic.limits import ALIGN_SHIFT, DECAY_ONE
from snnergy.neuromorphic.records import Records

FORMAT = "snnergy-activity"
VERSION = 1
# Spike trains are mostly zeros: the fastest setting already removes nearly all of their size.
_COMPRESSION = {"compression": "gzip", "compression_opts": 1, "shuffle": True}


def write_activity(
    path: Path,
    net: QuantNet,
    records: Records,
    *,
    backend: str,
    model: str,
    labels: IntArray | None = None,
    force: bool = False,
) -> None:
    """Write the records of one run.

    Args:
        backend, model: which simulator ran, and the file name of the network.
        labels: class of each sample, `(N,)`.

    Raises:
        UserError: `path` exists (without `force`) or cannot be written.
    """
    scores = decode.logits(net, records)
    samples, steps = records.values[net.inputs[0].name].shape[:2]
    with written_whole(path, force=force) as scratch, h5py.File(scratch, "w") as file:
        file.attrs.update(
            {
                "format": FORMAT,
                "version": VERSION,
                "time_steps": steps,
                "samples": samples,
                "backend": backend,
                "model": model,
                "provenance": json.dumps(net.provenance),
            }
        )
        file["logits"], file["prediction"] = scores, decode.predictions(scores)
        if labels is not None:
            file["label"] = labels
        _write_nodes(file.create_group("nodes"), net, records)
        _write_edges(file.create_group("edges"), net, records)


def _write_nodes(group: h5py.Group, net: QuantNet, records: Records) -> None:
    for port in net.inputs:
        node = _node(group, port.name, "input", port.shape, port.value_class, Labels(role="input"), port.scale)
        node.attrs["memoryless"] = True
        _store(node, "values", records.values[port.name])
    for population in net.populations:
        kind = "neuron" if population.spiking else "readout"
        unit = 1.0 if population.spiking else 1 / (population.scale * (1 << ALIGN_SHIFT))
        value_class = "binary" if population.spiking else "integer"
        node = _node(group, population.name, kind, population.shape, value_class, population.labels, unit)
        node.attrs["memoryless"] = population.du == DECAY_ONE and population.dv == DECAY_ONE
        node.attrs["biased"] = np.count_nonzero(np.broadcast_to(population.bias.reshape(-1), population.size))
        for field, table in (("values", records.values), ("u", records.u), ("v", records.v)):
            if population.name in table:
                _store(node, field, table[population.name])


def _node(
    group: h5py.Group, name: str, kind: str, shape: Shape, value_class: str, labels: Labels, scale: float
) -> h5py.Group:
    node = group.create_group(name)
    attrs: dict[str, Any] = {"kind": kind, "shape": shape, "value_class": value_class, "scale": scale}
    attrs |= {"role": labels.role, "modality": labels.modality}
    attrs |= {key: -1 if value is None else value for key, value in (("stage", labels.stage), ("block", labels.block))}
    node.attrs.update(attrs)
    return node


def _store(group: h5py.Group, name: str, array: IntArray) -> None:
    group.create_dataset(name, data=array, chunks=(1, *array.shape[1:]), **_COMPRESSION)


def _write_edges(group: h5py.Group, net: QuantNet, records: Records) -> None:
    shapes = {port.name: port.shape for port in net.inputs} | {p.name: p.shape for p in net.populations}
    for index, synapse in enumerate(net.synapses):
        edge = group.create_group(str(index))
        alive = np.count_nonzero(synapse.operator.weight)
        edge.attrs.update(
            {
                "source": synapse.source,
                "target": synapse.target,
                "kind": "dense" if isinstance(synapse.operator, Dense) else "conv2d",
                "origin": json.dumps(synapse.origin),
                "learned": synapse.learned,
                "parameters": synapse.operator.weight.size,
                "nonzero_parameters": alive,
            }
        )
        for name, nonzero in (("fan_out", False), ("fan_out_nonzero", True)):
            edge[name] = fan_out(synapse, nonzero=nonzero).reshape(shapes[synapse.source])
        if records.delivered:
            edge["delivered"] = records.delivered[index]
            edge["delivered_nonzero"] = records.delivered_nonzero[index]


def fan_out(synapse: QuantSynapse, *, nonzero: bool) -> IntArray:
    """Number of targets that an event of each source neuron reaches, borders and strides included, int32.

    The gradient of sum(operator with unit weights) with respect to its input; taps of weight zero are left out if
    `nonzero`. Shape: the operator's input shape.
    """
    operator = synapse.operator
    taps = (operator.weight != 0) if nonzero else np.ones_like(operator.weight, dtype=bool)
    if isinstance(operator, Dense):
        return np.asarray(taps.sum(axis=0), dtype=np.int32)
    reached = conv2d_input(  # type: ignore[no-untyped-call]
        [1, *operator.input_shape],
        torch.from_numpy(taps).double(),
        torch.ones(1, *operator.output_shape, dtype=torch.float64),
        operator.stride,
        operator.padding,
        operator.dilation,
        operator.groups,
    )
    return np.asarray(np.rint(reached[0].numpy()), dtype=np.int32)
