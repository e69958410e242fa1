"""An integer network simulated the slow and obvious way: one sample, one step, one matrix at a time, in int64."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from snnergy.neuromorphic.ir import Conv2d, Dense, Operator, QuantNet, QuantSynapse, Sparse


def matrix(operator: Operator) -> np.ndarray:
    """The operator as a matrix `(outputs, inputs)` of the weight's own type, synapse by synapse."""
    if isinstance(operator, Sparse):
        return _placed(operator, operator.weight)
    return operator.weight if isinstance(operator, Dense) else _convolution_matrix(operator)


def structure(operator: Operator) -> np.ndarray:
    """Which synapses there are, whatever their weight, `(outputs, inputs)`."""
    return matrix(replace(operator, weight=np.ones_like(operator.weight))) != 0


def _placed(operator: Sparse, values: np.ndarray) -> np.ndarray:
    found = np.zeros((int(np.prod(operator.output_shape)), int(np.prod(operator.input_shape))), values.dtype)
    for row, (first, end) in enumerate(itertools.pairwise(operator.row_starts)):
        for entry in range(first, end):
            found[row, operator.columns[entry]] += values[entry]
    return found


def _convolution_matrix(c: Conv2d) -> np.ndarray:
    outputs, inputs_of_group, kernel_height, kernel_width = c.weight.shape
    channels, height, width = c.input_shape
    out_height = (height + 2 * c.padding[0] - c.dilation[0] * (kernel_height - 1) - 1) // c.stride[0] + 1
    out_width = (width + 2 * c.padding[1] - c.dilation[1] * (kernel_width - 1) - 1) // c.stride[1] + 1
    found = np.zeros((outputs, out_height, out_width, channels, height, width), c.weight.dtype)
    for o, i, ky, kx in np.ndindex(*c.weight.shape):
        channel = o // (outputs // c.groups) * inputs_of_group + i
        for y, x in itertools.product(range(out_height), range(out_width)):
            from_y = y * c.stride[0] - c.padding[0] + ky * c.dilation[0]
            from_x = x * c.stride[1] - c.padding[1] + kx * c.dilation[1]
            if 0 <= from_y < height and 0 <= from_x < width:
                found[o, y, x, channel, from_y, from_x] = c.weight[o, i, ky, kx]
    return found.reshape(outputs * out_height * out_width, -1)


def weight_matrix(synapse: QuantSynapse) -> np.ndarray:
    """The mantissas of a synapse as a matrix in int64."""
    return matrix(synapse.operator).astype(np.int64)


def arriving(synapse: QuantSynapse, weight: np.ndarray, source: np.ndarray, t: int) -> np.ndarray:
    """Input at step t from `source` `(T, neurons)`."""
    extra = synapse.operator.delays
    if isinstance(synapse.operator, Sparse) and extra is not None:
        extra = _placed(synapse.operator, extra)
    delays = np.zeros(weight.shape, int) if extra is None else extra
    total = np.zeros(weight.shape[0], np.int64)
    for d in np.unique(delays):
        sent = t - synapse.delay - d
        if sent >= 0:
            total += np.where(delays == d, weight, 0) @ source[sent]
    return total << synapse.exponent if synapse.exponent >= 0 else total >> -synapse.exponent


def simulate(net: QuantNet, inputs: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """`{"spikes" | "u" | "v": {population: (N, T, *shape)}}`."""
    samples, steps = next(iter(inputs.values())).shape[:2]
    weights = [weight_matrix(s) for s in net.synapses]
    out = {
        field: {p.name: np.zeros((samples, steps, *p.shape), np.int64) for p in net.populations}
        for field in ("spikes", "u", "v")
    }
    for n in range(samples):
        values = {name: array[n].reshape(steps, -1).astype(np.int64) for name, array in inputs.items()}
        values |= {p.name: np.zeros((steps, p.size), np.int64) for p in net.populations}
        states = {p.name: (np.zeros(p.size, np.int64), np.zeros(p.size, np.int64)) for p in net.populations}
        for t, p in itertools.product(range(steps), net.populations):
            u, v = states[p.name]
            a_in = sum(
                arriving(s, w, values[s.source], t)
                for s, w in zip(net.synapses, weights, strict=True)
                if s.target == p.name
            )
            u = np.sign(u) * ((np.abs(u) * (4096 - p.du)) >> 12) + (a_in << 6)
            u = u.astype(np.int32).astype(np.int64)  # as wide as Lava's
            u = np.where(u > 1 << 23, u - (1 << 24), u)
            u = np.where(u <= -(1 << 23), u + (1 << 24), u)
            v = np.sign(v) * ((np.abs(v) * (4096 - p.dv)) >> 12) + u + (p.bias.reshape(-1).astype(np.int64) << 6)
            v = np.clip(v, -(1 << 23) + 1, (1 << 23) - 1)
            threshold = p.vth << 6
            if "late" in p.reset and t:
                sent = values[p.name][t - 1]
                v = np.where(sent > 0, v - sent * threshold if p.reset == "late-soft" else 0, v)
                v = np.clip(v, -(1 << 23) + 1, (1 << 23) - 1)
            spikes = np.where(v > threshold, v // threshold if p.spikes == "many" else 1, 0)
            values[p.name][t] = spikes
            if "late" not in p.reset:
                v = np.where(spikes > 0, v - spikes * threshold if p.reset == "soft" else 0, v)
            states[p.name] = u, v
            for field, value in (("spikes", spikes), ("u", u), ("v", states[p.name][1])):
                out[field][p.name][n, t] = value.reshape(p.shape)
    return out
