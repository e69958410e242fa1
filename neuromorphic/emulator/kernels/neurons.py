"""Sums into spikes: Loihi's fixed-point neuron, a step of all neurons of a sample at a time.

    u ← trunc(u·keep_u / 4096) + (a_in · 2^exponent << 6),   then one wrap into ±2²³
    v ← clip(trunc(v·keep_v / 4096) + u + bias, ±(2²³ − 1))
    spike where v > threshold

`keep` is 4096 less the decay, and bias and threshold are aligned already. `fixed_point.py` says where the equations
come from. Kernels advance `u`, `v` `(N, neurons)` through `a_in` `(N, steps, neurons)` and write steps `first` on of
spikes `(N, T, row)` and, where these have any steps, of what is recorded of u and v. They return how often u wrapped
around and v was clipped.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from snnergy.neuromorphic.emulator.kernels.compiled import compiled
from snnergy.neuromorphic.limits import ALIGN_SHIFT, DECAY_ONE, STATE_MAX

# Neurons whose state stays in a first-level cache for all steps of a block.
_AT_ONCE = 1024
# Sums below this leave 32 bits to no intermediate value of `scan`.
SMALL_SUM = 1 << 24
# Those up to this are brought back into 24 bits by one wrap of the current, whatever it was.
ONE_WRAP = 1 << 18

_i = np.int32
_TOP = _i(STATE_MAX)
_OVER = _i(STATE_MAX + 1)
_WRAP = _i(2 * (STATE_MAX + 1))
_LOW_BITS = _i(DECAY_ONE - 1)
_SHIFT = 12
assert DECAY_ONE == 1 << _SHIFT


@compiled
def _kept(state: Any, keep: Any) -> Any:
    """trunc(state·keep / 4096) within 32 bits: of |state| < 2²⁴, the upper and the lower 12 bits by themselves."""
    size = abs(state)
    whole = _i(_i(_i(size >> _SHIFT) * keep) + _i(_i(_i(size & _LOW_BITS) * keep) >> _SHIFT))
    return whole if state >= 0 else _i(-whole)


@compiled
def _wrapped(current: Any) -> Any:
    if current > _OVER:
        return _i(current - _WRAP)
    return _i(current + _WRAP) if current < -_TOP else current


@compiled
def scan(
    a_in: Any, exponent: int, decays: Any, keep_u: Any, keep_v: Any, bias: Any, threshold: Any, u: Any, v: Any,
    spikes: Any, first: int, recorded_u: Any, recorded_v: Any,
) -> Any:  # fmt: skip
    """Neurons that a spike puts to 0, in 32 bits; sums stay below SMALL_SUM.

    decays: whether the current has any memory. keep_u, keep_v, bias `(neurons,)`, all int32.

    Returns:
        also whether a current left 24 bits in spite of its wrap: then only `scan_wide` is right.
    """
    samples, steps, neurons = a_in.shape
    up = _i(ALIGN_SHIFT + exponent)
    wrapped = clipped = 0
    left = False
    charged = np.empty(_AT_ONCE, np.int32)
    for n in range(samples):
        for begin in range(0, neurons, _AT_ONCE):
            part = slice(begin, min(begin + _AT_ONCE, neurons))
            un, vn, ku, kv, constant = u[n, part], v[n, part], keep_u[part], keep_v[part], bias[part]
            for step in range(steps):
                sums, fired = a_in[n, step, part], spikes[n, first + step, part]
                highest_u = highest_v = _i(0)
                if decays:
                    for j in range(un.size):
                        current = _i(_kept(un[j], ku[j]) + _i(_i(sums[j]) << up))
                        un[j] = current
                        highest_u = max(highest_u, abs(current))
                        charged[j] = _i(_i(_kept(vn[j], kv[j]) + current) + constant[j])
                        highest_v = max(highest_v, abs(charged[j]))
                else:
                    for j in range(un.size):
                        current = _i(_i(sums[j]) << up)
                        un[j] = current
                        highest_u = max(highest_u, abs(current))
                        charged[j] = _i(_i(_kept(vn[j], kv[j]) + current) + constant[j])
                        highest_v = max(highest_v, abs(charged[j]))
                if highest_u > _TOP:
                    highest_v = _OVER
                    for j in range(un.size):
                        wrapped += abs(un[j]) > _TOP
                        un[j] = _wrapped(un[j])
                        left |= abs(un[j]) > _OVER
                        charged[j] = _i(_i(_kept(vn[j], kv[j]) + un[j]) + constant[j])
                if highest_v > _TOP:
                    for j in range(un.size):
                        clipped += abs(charged[j]) > _TOP
                        charged[j] = min(max(charged[j], -_TOP), _TOP)
                for j in range(un.size):
                    spike = charged[j] > threshold
                    fired[j] = np.uint8(spike)
                    vn[j] = _i(0) if spike else charged[j]
                if recorded_u.shape[1]:
                    recorded_u[n, first + step, part] = un
                    recorded_v[n, first + step, part] = vn
    return wrapped, clipped, left


@compiled
def _kept_wide(state: Any, keep: Any) -> Any:
    whole = (abs(state) * keep) >> _SHIFT
    return whole if state >= 0 else -whole


@compiled
def _in_32_bits(value: Any) -> Any:
    return np.int64(np.int32(value & 0xFFFFFFFF))


@compiled
def _count(v: Any, threshold: int, many: bool) -> Any:
    if v <= threshold:
        return np.int64(0)
    return v // threshold if many else np.int64(1)


@compiled
def _after(v: Any, count: Any, threshold: int, soft: bool) -> Any:
    if count == 0:
        return v
    return v - count * threshold if soft else np.int64(0)


@compiled
def scan_wide(
    a_in: Any, exponent: int, soft: bool, late: bool, many: bool, keep_u: Any, keep_v: Any, bias: Any, threshold: int,
    u: Any, v: Any, spikes: Any, first: int, recorded_u: Any, recorded_v: Any,
) -> Any:  # fmt: skip
    """Every neuron that there is, in 64 bits: a spike may take the threshold off, act a step late, stand for many."""
    samples, steps, neurons = a_in.shape
    wrapped = clipped = 0
    for n in range(samples):
        for step in range(steps):
            for j in range(neurons):
                before = np.int64(v[n, j])
                total = np.int64(a_in[n, step, j]) << (ALIGN_SHIFT + exponent)
                current = _kept_wide(np.int64(u[n, j]), keep_u[j]) + total
                if abs(current) > STATE_MAX:
                    wrapped += 1
                    current = _in_32_bits(current)
                    if current > STATE_MAX + 1:
                        current -= 2 * (STATE_MAX + 1)
                    if current <= -(STATE_MAX + 1):
                        current += 2 * (STATE_MAX + 1)
                charged = _kept_wide(before, keep_v[j]) + current + bias[j]
                if abs(charged) > STATE_MAX:
                    clipped += 1
                    charged = min(max(_in_32_bits(charged), -STATE_MAX), STATE_MAX)
                if late:
                    charged = _after(charged, _count(before, threshold, many), threshold, soft)
                    charged = min(max(charged, -STATE_MAX), STATE_MAX)
                count = _count(charged, threshold, many)
                u[n, j] = current
                v[n, j] = charged if late else _after(charged, count, threshold, soft)
                spikes[n, first + step, j] = count
            if recorded_u.shape[1]:
                recorded_u[n, first + step] = u[n]
                recorded_v[n, first + step] = v[n]
    return wrapped, clipped
