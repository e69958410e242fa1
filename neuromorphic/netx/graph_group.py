"""The group `/graph` of a `.net` file: what a branched integer network has and a chain of netx layers cannot say.

    /graph               attributes format, version, reset, outputs; dataset provenance (JSON)
    /graph/inputs/<i>        attributes of an `InputPort`
    /graph/populations/<i>   attributes of a `QuantPopulation` and its `Labels`; datasets du, dv, bias
    /graph/synapses/<i>      attributes of a `QuantSynapse`; layer: the index in /layer that holds its operator, as
                             weight_rec in a recurrent one where the synapse leads from a population to itself;
                             input_shape of sparse synapses and of a convolution, also of a diagonal one that stands
                             there as a matrix

Version 2 adds layers of type sparse, macs of synapses, decays of single neurons, and what a spike does; a file of
version 1 is read as it is.

Weights and kernels stay in `/layer`, in netx's form (see `netx_layers.py`), so that they are stored once.
"""

from __future__ import annotations

import json
from typing import Any

import h5py
import numpy as np

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.hdf5_fields import Fields
from snnergy.artefacts.types import VALUE_CLASSES, IntArray, Shape
from snnergy.neuromorphic.ir import (
    RESETS,
    SPIKES,
    Conv2d,
    Dense,
    InputPort,
    Operator,
    Pair,
    QuantNet,
    QuantPopulation,
    QuantSynapse,
    Sparse,
)
from snnergy.neuromorphic.limits import GRADED_BITS_MAX, WEIGHT_EXPONENT_MAX, WEIGHT_EXPONENT_MIN
from snnergy.neuromorphic.netx.soundness import require_sound

_FORMAT = "snnergy-graph"
_VERSION = 2
_ARRAYS = ("du", "dv", "bias")  # of a population, one value or one a neuron
_READ = (1, 2)
# What to do about a file that lacks something.
REMAKE = "write the file again with `snnergy compile` or lava-dl's export_hdf5"


def write_graph(file: h5py.File, net: QuantNet, layers: list[int]) -> None:
    """Write `/graph`; `layers` gives the index in `/layer` of each synapse of `net`, in order."""
    graph = file.create_group("graph")
    graph.attrs.update(format=_FORMAT, version=_VERSION, reset=net.reset, outputs=_texts(net.outputs))
    graph["provenance"] = json.dumps(net.provenance, sort_keys=True)
    inputs, populations, synapses = (graph.create_group(name) for name in ("inputs", "populations", "synapses"))
    for index, port in enumerate(net.inputs):
        inputs.create_group(str(index)).attrs.update({**_plain(port, "shape"), "shape": _shape(port.shape)})
    for index, population in enumerate(net.populations):
        group = populations.create_group(str(index))
        for name in _ARRAYS:
            group[name] = getattr(population, name)
        plain = _plain(population, *_ARRAYS, "labels", "shape")
        group.attrs.update({**plain, **_plain(population.labels), "shape": _shape(population.shape)})
    for index, (synapse, layer) in enumerate(zip(net.synapses, layers, strict=True)):
        operator = synapse.operator
        own: dict[str, Any] = {"layer": layer, "origin": _texts(synapse.origin)}
        if not isinstance(operator, Dense):
            own["input_shape"] = _shape(operator.input_shape)
        if not isinstance(operator, Conv2d):
            own["has_delays"] = operator.delays is not None
        synapses.create_group(str(index)).attrs.update({**_plain(synapse, "operator", "origin"), **own})


def read_graph(file: h5py.File, name: str) -> QuantNet:
    """The network of a file that `write_graph` wrote.

    Raises:
        UserError: every missing field, wrong type, value out of range and dangling edge.
    """
    violations: list[str] = []
    root = Fields(file, f"{name}: ", violations, REMAKE)
    graph = root.group("graph")
    if graph is None:
        raise UserError(violations)
    attributes = graph.attributes()
    if attributes.text("format") != _FORMAT or attributes.integer("version") not in _READ:
        attributes.refuse("version", f"this version reads {_FORMAT} 1 to {_VERSION}; compile the network again")
        raise UserError(violations)
    inputs = [_read_input(fields.attributes()) for fields in _entries(graph, "inputs")]
    populations = [_read_population(fields) for fields in _entries(graph, "populations")]
    layers = root.group("layer")
    synapses = [_read_synapse(fields.attributes(), layers) for fields in _entries(graph, "synapses")]
    net = QuantNet(
        inputs=tuple(inputs),
        populations=tuple(populations),
        synapses=tuple(s for s in synapses if s is not None),
        outputs=attributes.texts("outputs"),
        reset=attributes.flag("reset"),
        provenance=_read_provenance(graph),
    )
    if violations:
        raise UserError(violations)
    return require_sound(net, name)


def _entries(graph: Fields, kind: str) -> list[Fields]:
    """The numbered groups of one kind."""
    parent = graph.group(kind)
    found = [] if parent is None else [parent.group(str(index)) for index in range(parent.numbered())]
    return [fields for fields in found if fields is not None]


def _read_input(attributes: Fields) -> InputPort:
    return InputPort(
        name=attributes.name("name"),
        shape=attributes.shape("shape"),
        value_class=attributes.choice("value_class", VALUE_CLASSES),
        scale=attributes.scale("scale", inverting=True),  # as a stock file's input layer can
        bits=attributes.integer("bits", at_least=1, at_most=GRADED_BITS_MAX),
        signed=attributes.flag("signed"),
    )


def _read_population(fields: Fields) -> QuantPopulation:
    attributes = fields.attributes()
    return QuantPopulation(
        name=attributes.name("name"),
        shape=attributes.shape("shape"),
        du=_decay(fields, "du"),
        dv=_decay(fields, "dv"),
        vth=attributes.integer("vth"),
        bias=fields.integers("bias").astype(np.int32),
        spiking=attributes.flag("spiking"),
        scale=attributes.scale("scale"),
        depth=attributes.integer("depth", at_least=0),
        labels=attributes.labels(),
        reset=attributes.choice("reset", RESETS) if attributes.has("reset") else "hard",
        spikes=attributes.choice("spikes", SPIKES) if attributes.has("spikes") else "one",
    )


def _decay(fields: Fields, name: str) -> IntArray:
    """Of version 2 a dataset, of version 1 one number for all neurons, which is an attribute."""
    if fields.has(name):
        return fields.integers(name).astype(np.int32)
    return np.array([fields.attributes().integer(name)], np.int32)


def _read_synapse(attributes: Fields, layers: Fields | None) -> QuantSynapse | None:
    """One synapse, or None where its operator cannot be read."""
    exponent, delay = attributes.integer("exponent"), attributes.integer("delay")
    if not attributes.broken and not WEIGHT_EXPONENT_MIN <= exponent <= WEIGHT_EXPONENT_MAX:
        limits = f"{WEIGHT_EXPONENT_MIN}..{WEIGHT_EXPONENT_MAX}"
        attributes.refuse("exponent", f"{exponent}, the chip takes {limits}; compile the network again")
    layer = layers.group(str(attributes.integer("layer"))) if layers is not None and not attributes.broken else None
    operator = _read_operator(attributes, layer, exponent, delay) if layer is not None else None
    if operator is None:
        return None
    return QuantSynapse(
        source=attributes.text("source"),
        target=attributes.text("target"),
        operator=operator,
        exponent=exponent,
        delay=delay,
        balance=attributes.integer("balance"),
        origin=attributes.texts("origin"),
        learned=attributes.flag("learned"),
        macs=attributes.count("macs") if attributes.has("macs") else None,
    )


def _read_operator(attributes: Fields, layer: Fields, exponent: int, delay: int) -> Operator | None:
    kind = layer.text("type")
    loop = kind == "dense_rec" and attributes.text("source") == attributes.text("target")
    weight = layer.integers("weight_rec" if loop else "weight")
    if not layer.broken and kind not in ("conv", "dense", "dense_rec", "sparse"):
        layer.refuse("type", f"{kind!r} holds no synapse; expected conv, dense, dense_rec or sparse")
    if not layer.broken and (weight & ((1 << max(exponent, 0)) - 1)).any():
        layer.refuse("weight", f"not multiples of 2^{exponent}, the exponent in {attributes.where}; compile again")
    if layer.broken:
        return None
    mantissa = (weight >> max(exponent, 0)).astype(np.int32)
    if kind in ("dense", "dense_rec") and attributes.has("input_shape"):
        return _read_diagonal(attributes, layer, mantissa)
    if kind != "conv":
        delays = (layer.integers("delay") - delay).astype(np.int32) if attributes.flag("has_delays") else None
        if kind == "sparse":
            return _read_sparse(attributes, layer, mantissa, delays)
        return None if layer.broken else Dense(mantissa, delays)
    channels, height, width = (*attributes.shape("input_shape"), 0, 0, 0)[:3]
    stride, padding, dilation = (layer.integers(key).reshape(-1) for key in ("stride", "padding", "dilation"))
    if not layer.broken and not stride.size == padding.size == dilation.size == 2:
        layer.refuse("stride", "stride, padding and dilation need a value for height and one for width; compile again")
    groups = layer.integer("groups")
    if layer.broken or attributes.broken:
        return None
    return Conv2d(mantissa, (channels, height, width), _pair(stride), _pair(padding), _pair(dilation), groups)


def _read_sparse(attributes: Fields, layer: Fields, weight: IntArray, delays: IntArray | None) -> Sparse | None:
    columns, starts = layer.integers("columns").astype(np.int32), layer.integers("row_starts")
    shapes = attributes.shape("input_shape"), layer.shape("shape")
    return None if layer.broken or attributes.broken else Sparse(weight, columns, starts, *shapes, delays)


def _read_diagonal(attributes: Fields, layer: Fields, matrix: IntArray) -> Conv2d | None:
    """A depthwise 1×1 convolution that was written as the matrix that it is."""
    channels, height, width = (*attributes.shape("input_shape"), 0, 0, 0)[:3]
    diagonal = np.diag(matrix) if matrix.ndim == 2 else matrix[:0]
    fitting = channels >= 1 and diagonal.size == channels * height * width > 0
    if not fitting or matrix.shape != 2 * diagonal.shape or np.count_nonzero(matrix) != np.count_nonzero(diagonal):
        layer.refuse("weight", f"{matrix.shape} is no diagonal of {(channels, height, width)}; compile again")
        return None
    maps = diagonal.reshape(channels, -1)
    if (maps != maps[:, :1]).any():
        layer.refuse("weight", "a diagonal that differs within a channel; compile again")
        return None
    return Conv2d(maps[:, 0].reshape(-1, 1, 1, 1).copy(), (channels, height, width), groups=channels)


def _pair(values: IntArray) -> Pair:
    return int(values[0]), int(values[1])


def _read_provenance(graph: Fields) -> dict[str, str]:
    stored = graph.json("provenance", {})
    if not all(isinstance(value, str) for value in stored.values()):
        graph.refuse("provenance", f"not an object of texts; {REMAKE}")
        return {}
    return stored


def _plain(record: object, *without: str) -> dict[str, Any]:
    """Fields of a dataclass that are one number or text, by name; None is left out."""
    found = {name: value for name, value in vars(record).items() if name not in without and value is not None}
    return {name: str(value) if isinstance(value, str) else value for name, value in found.items()}


def _texts(values: tuple[str, ...]) -> Any:
    return np.array(values, dtype=h5py.string_dtype())


def _shape(shape: Shape) -> IntArray:
    return np.asarray(shape, np.int64)
