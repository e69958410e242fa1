"""Reads a stock lava-dl `.net` file, a chain of layers, as the integer network that netx 0.6.0 would build from it.

Defaults, clipping and ignored fields follow `lava/lib/dl/netx/hdf5.py`. An input layer that has neurons encodes
its input as a bias that is constant over time: with iDecay 4096 the current has no memory, so a synapse of weight 1
from an integer input adds `x << 6` to the membrane exactly as a bias mantissa x does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import h5py
import numpy as np

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.hdf5_fields import Fields
from snnergy.artefacts.types import IntArray, Shape
from snnergy.neuromorphic.ir import Conv2d, Dense, InputPort, Operator, Pair, QuantNet, QuantPopulation, QuantSynapse
from snnergy.neuromorphic.limits import DECAY_ONE, DELAY_MAX, THRESHOLD_MAX
from snnergy.neuromorphic.netx.graph_group import REMAKE
from snnergy.neuromorphic.netx.soundness import geometry_problems, require_sound
from snnergy.neuromorphic.netx.stock_weights import stock_dense_weight

_DEFAULT_TRANSFORM = (64, 0)  # netx's weight and bias of an input layer that states none
_DRIVE_BITS = 13  # the width of a bias mantissa, which the integer input stands for
_LIF_TYPES = ("LOIHI", "CUBA")


@dataclass
class _Chain:
    """The network so far and what is wrong with it; `source` and `shape` are what the next layer reads."""

    violations: list[str] = field(default_factory=list)
    inputs: list[InputPort] = field(default_factory=list)
    populations: list[QuantPopulation] = field(default_factory=list)
    synapses: list[QuantSynapse] = field(default_factory=list)
    source: str = ""
    shape: Shape | None = None

    def begin(self, port: InputPort) -> None:
        self.inputs.append(port)
        self.source, self.shape = port.name, port.shape

    def add(self, population: QuantPopulation, operator: Operator) -> None:
        if self.populations:  # what feeds a layer sends spikes, though its threshold is one that is hardly ever met
            self.populations[-1] = replace(self.populations[-1], spiking=True)
        self.populations.append(population)
        self.synapses.append(QuantSynapse(self.source, population.name, operator))
        self.source, self.shape = population.name, population.shape


def read_chain(file: h5py.File, name: str, num_layers: int | None, provenance: dict[str, str]) -> QuantNet:
    """The first `num_layers` layers (all for None) of a stock file, without state reset between samples.

    Populations are called `layer<index>`, after their place in the file; one in the input layer is `input`.

    Raises:
        UserError: every layer and field that cannot be built, by name.
    """
    chain = _Chain()
    layers = Fields(file, f"{name}: ", chain.violations, REMAKE).group("layer")
    count = 0 if layers is None else layers.numbered()
    for index in range(count if num_layers is None else min(count, num_layers)):
        layer = layers.group(str(index)) if layers is not None else None
        if layer is not None:
            _read_layer(chain, layer, index)
    if chain.violations:
        raise UserError(chain.violations)
    if not chain.populations:
        raise UserError(f"{name}: no layer of neurons among the first {num_layers or count}; raise num_layers")
    net = QuantNet(
        inputs=tuple(chain.inputs),
        populations=tuple(chain.populations),
        synapses=tuple(chain.synapses),
        outputs=(chain.source,),
        reset=False,
        provenance=provenance,
    )
    return require_sound(net, name)


def _read_layer(chain: _Chain, layer: Fields, index: int) -> None:
    kind = layer.text("type")
    if layer.broken:
        return
    if kind == "input" and index == 0:
        _read_input(chain, layer)
    elif kind == "input":
        layer.refuse("type", "input after the first layer; netx reads one chain with one input")
    elif kind == "conv":
        _read_conv(chain, layer, index)
    elif kind == "dense":
        _read_dense(chain, layer, index)
    elif kind != "flatten":  # arrays are flat and C-ordered here, which is what netx's flatten yields
        layer.refuse("type", f"netx cannot build a layer of type {kind!r}; num_layers {index} stops before it")


def _read_input(chain: _Chain, layer: Fields) -> None:
    shape = layer.shape("shape")
    if not layer.broken and len(shape) > 3:
        layer.refuse("shape", f"{shape}; expected one to three extents")
    if layer.broken:
        return
    chain.shape = shape
    if not layer.has("neuron"):
        chain.begin(InputPort("input", shape, "binary"))
        return
    weight, bias = (
        layer.integer(name) if layer.has(name) else default
        for name, default in zip(("weight", "bias"), _DEFAULT_TRANSFORM, strict=True)
    )
    population = _read_neurons(layer, "input", shape, np.array([bias], np.int32), depth=1)
    if weight == 0:
        layer.refuse("weight", "0, which maps every input to the same bias; export the network again")
    if population is not None and population.du != DECAY_ONE:
        layer.refuse(
            "neuron/iDecay",
            f"{population.du}; a bias-encoded input is supported for {DECAY_ONE} only (a current without memory)",
        )
    if layer.broken or population is None:
        return
    chain.begin(InputPort("drive", shape, "integer", scale=1 / weight, bits=_DRIVE_BITS, signed=True))
    chain.add(population, _identity(shape))


def _identity(shape: Shape) -> Conv2d:
    """One synapse of weight 1 from each element of `shape` to itself, as a 1x1 kernel a channel."""
    channels, height, width = shape if len(shape) == 3 else (1, 1, math.prod(shape))
    return Conv2d(np.ones((channels, 1, 1, 1), np.int32), (channels, height, width), groups=channels)


def _read_conv(chain: _Chain, layer: Fields, index: int) -> None:
    weight = layer.integers("weight")
    shape = layer.shape("shape")
    stride, padding, dilation = (_pair(layer, name) for name in ("stride", "padding", "dilation"))
    groups = layer.integer("groups")
    if not layer.broken and len(shape) != 3:
        layer.refuse("shape", f"{shape}; expected (channels, height, width)")
    if not layer.broken and weight.ndim != 4 and weight.shape[4:] != (1,):
        layer.refuse("weight", f"shape {weight.shape}, expected (out, in / groups, kH, kW)")
    if layer.has("delay") and layer.integers("delay").any():
        layer.refuse("delay", "netx drops delays of a conv layer without a word; remove them or use a dense layer")
    source = chain.shape
    if source is None or len(source) != 3:
        layer.refuse("type", f"conv behind the shape {source}; netx needs (channels, height, width) before it")
    bias = _conv_bias(layer, shape)
    population = _read_neurons(layer, f"layer{index}", shape, bias, depth=len(chain.populations) + 1)
    if population is None or source is None:
        chain.shape = shape  # what follows is still checked, against the shape that this layer declares
        return
    kernel = weight.reshape(weight.shape[:4]).astype(np.int32)
    operator = Conv2d(kernel, (source[0], source[1], source[2]), stride, padding, dilation, groups)
    for problem in geometry_problems(operator):
        layer.refuse("weight", problem)
    if not layer.broken and operator.output_shape != shape:
        layer.refuse("shape", f"{shape}, but the kernel yields {operator.output_shape}; export the network again")
    chain.add(population, operator)


def _pair(layer: Fields, name: str) -> Pair:
    value = layer.integers(name).reshape(-1)
    if value.size not in (1, 2):
        layer.refuse(name, f"{value.size} values; expected one, or one for height and one for width")
        return 1, 1
    return int(value[0]), int(value[-1])


def _conv_bias(layer: Fields, shape: Shape) -> IntArray:
    """Bias of each neuron, flat in C order; netx takes one a channel, or one a neuron in (W, H, C) order."""
    if not layer.has("bias"):
        return np.zeros(1, np.int32)
    bias = layer.integers("bias").astype(np.int32)
    if bias.shape == shape[::-1] and len(shape) > 1:
        return bias.transpose().reshape(-1)
    if len(shape) == 3 and bias.shape == shape[:1]:
        return np.repeat(bias, shape[1] * shape[2])
    if not layer.broken:
        layer.refuse("bias", f"shape {bias.shape} for a layer {shape}; give one a channel")
    return np.zeros(1, np.int32)


def _read_dense(chain: _Chain, layer: Fields, index: int) -> None:
    outputs = math.prod(layer.shape("shape"))
    weight = layer.integers("weight")
    bias = layer.integers("bias").reshape(-1).astype(np.int32) if layer.has("bias") else np.zeros(1, np.int32)
    delays = None
    if not layer.broken and (outputs < 1 or weight.size == 0 or weight.size % outputs):
        layer.refuse("weight", f"shape {weight.shape} for {outputs} outputs; expected (out, in)")
    if not layer.broken:
        weight = weight.reshape(outputs, -1)
        delays = _dense_delays(layer, weight.shape) if layer.has("delay") else None
        try:
            weight = stock_dense_weight(weight)
        except ValueError as error:
            layer.refuse("weight", str(error))
    population = _read_neurons(layer, f"layer{index}", (outputs,), bias, depth=len(chain.populations) + 1)
    if population is None:
        chain.shape = (outputs,)
        return
    if chain.shape is None:
        chain.begin(InputPort("input", (weight.shape[1],), "binary"))
    chain.add(population, Dense(weight.astype(np.int32), delays))


def _dense_delays(layer: Fields, shape: Shape) -> IntArray | None:
    """Delay of each synapse as netx spreads it: one for all, one an output (first) or input, or a full matrix."""
    stored = np.minimum(layer.integers("delay"), DELAY_MAX)
    if stored.ndim == 1 and stored.size == shape[0]:
        stored = stored[:, None]
    elif stored.ndim == 1 and stored.size == shape[1]:
        stored = stored[None, :]
    elif stored.ndim and stored.shape != shape and not layer.broken:
        layer.refuse("delay", f"shape {stored.shape} for weights {shape}; give one a row, a column or a weight")
    return None if layer.broken else np.broadcast_to(stored, shape).astype(np.int32)


def _read_neurons(layer: Fields, name: str, shape: Shape, bias: IntArray, depth: int) -> QuantPopulation | None:
    """The layer's neurons; a layer without a neuron group is netx's non-leaky integrator that never fires."""
    du, dv, vth = 0, DECAY_ONE, THRESHOLD_MAX
    if layer.has("neuron"):
        neuron = layer.group("neuron")
        if neuron is None:
            return None
        kind = neuron.text("type")
        if kind and kind not in _LIF_TYPES:
            neuron.refuse("type", f"{kind!r} neurons are not supported; train with {' or '.join(_LIF_TYPES)} neurons")
            return None
        du, dv, vth = (neuron.integer(key) for key in ("iDecay", "vDecay", "vThMant"))
        if neuron.broken:
            return None
    if layer.broken:
        return None
    return QuantPopulation(name, shape, du, dv, vth, bias, spiking=vth < THRESHOLD_MAX, scale=1.0, depth=depth)
