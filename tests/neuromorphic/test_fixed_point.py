"""Loihi arithmetic against the formulas of lava-nc written with Python integers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snnergy.neuromorphic.emulator.fixed_point import NeuronState, decay, step, wrap
from snnergy.neuromorphic.ir import QuantPopulation
from snnergy.neuromorphic.limits import STATE_MAX


def population(du: int, dv: int, vth: int, bias: int) -> QuantPopulation:
    return QuantPopulation("p", (1,), du, dv, vth, np.array([bias], dtype=np.int32), True, 1.0, 1)


def reference(p: QuantPopulation, u: int, v: int, a_in: int) -> tuple[int, int, bool]:
    """`PyLifModelBitAcc` for one neuron in Python's unbounded integers."""

    def toward_zero(state: int, rate: int) -> int:
        sign = -1 if state < 0 else 1
        return sign * ((abs(state) * (4096 - rate)) >> 12)

    u = toward_zero(u, p.du) + (a_in << 6)
    if u > 1 << 23:
        u -= 1 << 24
    elif u <= -(1 << 23):
        u += 1 << 24
    v = toward_zero(v, p.dv) + u + (int(p.bias[0]) << 6)
    v = max(min(v, STATE_MAX), -STATE_MAX)
    fired = v > p.vth << 6
    return u, 0 if fired else v, fired


@settings(max_examples=300, deadline=None)
@given(
    st.integers(1, 4096),
    st.integers(0, 4096),
    st.integers(0, 131071),
    st.integers(-4095, 4095),
    st.lists(st.integers(-200_000, 200_000), min_size=1, max_size=8),
)
def test_step_equals_the_integer_formula(du: int, dv: int, vth: int, bias: int, drive: list[int]) -> None:
    p = population(du, dv, vth, bias)
    state = NeuronState.cleared(1, 1)
    u = v = 0
    for a_in in drive:
        spikes = step(p, torch.tensor([float(bias)]), state, torch.tensor([[float(a_in)]], dtype=torch.float64))
        u, v, fired = reference(p, u, v, a_in)
        assert (int(state.u), int(state.v), bool(spikes)) == (u, v, fired)


@pytest.mark.parametrize("state", [-7, -1, 0, 1, 7, STATE_MAX, -STATE_MAX])
@pytest.mark.parametrize("rate", [0, 1, 2048, 4095, 4096])
def test_decay_rounds_toward_zero(state: int, rate: int) -> None:
    expected = (1 if state >= 0 else -1) * ((abs(state) * (4096 - rate)) >> 12)
    assert int(decay(torch.tensor([float(state)], dtype=torch.float64), rate)) == expected


def test_wrap_happens_once_and_is_counted() -> None:
    limit = float(1 << 23)
    wrapped = wrap(torch.tensor([limit, limit + 1, -limit, 3 * limit], dtype=torch.float64))
    assert wrapped.tolist() == [limit, -limit + 1, limit, limit]
    state = NeuronState.cleared(1, 2)
    step(population(4096, 4096, 1, 0), torch.zeros(1), state, torch.tensor([[131073.0, 1.0]], dtype=torch.float64))
    assert (state.wrapped, state.clipped) == (1, 0)


def test_threshold_is_strict() -> None:
    p = population(4096, 4096, 10, 0)
    for a_in, fires in ((10.0, False), (11.0, True)):
        state = NeuronState.cleared(1, 1)
        assert bool(step(p, torch.zeros(1), state, torch.tensor([[a_in]], dtype=torch.float64))) is fires
