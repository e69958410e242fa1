"""Loihi arithmetic against the formulas of lava-nc written with Python integers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snnergy.neuromorphic.emulator.on_torch.fixed_point import NeuronState, decay, step, wrap
from snnergy.neuromorphic.ir import RESETS, SPIKES, QuantPopulation, Reset, Spikes
from snnergy.neuromorphic.limits import STATE_MAX


def population(du: int, dv: int, vth: int, bias: int, reset: Reset = "hard", spikes: Spikes = "one") -> QuantPopulation:
    decays = np.array([du]), np.array([dv])
    return QuantPopulation(
        "p", (1,), *decays, vth, np.array([bias], dtype=np.int32), True, 1.0, 1, reset=reset, spikes=spikes
    )


def reference(p: QuantPopulation, u: int, v: int, a_in: int) -> tuple[int, int, int]:
    """`PyLifModelBitAcc` for one neuron in Python's unbounded integers, and the spikes and resets that are ours."""

    def toward_zero(state: int, rate: int) -> int:
        sign = -1 if state < 0 else 1
        return sign * ((abs(state) * (4096 - rate)) >> 12)

    def sent(v: int) -> int:
        if v <= p.vth << 6:
            return 0
        return 1 if p.spikes == "one" else v // (p.vth << 6)

    was = v
    u = toward_zero(u, int(p.du[0])) + (a_in << 6)
    if u > 1 << 23:
        u -= 1 << 24
    elif u <= -(1 << 23):
        u += 1 << 24
    v = toward_zero(v, int(p.dv[0])) + u + (int(p.bias[0]) << 6)
    v = max(min(v, STATE_MAX), -STATE_MAX)
    if "late" in p.reset and (due := sent(was)):
        v = max(min(v - due * (p.vth << 6), STATE_MAX), -STATE_MAX) if p.reset == "late-soft" else 0
    count = sent(v)
    if count and "late" not in p.reset:
        v = v - count * (p.vth << 6) if p.reset == "soft" else 0
    return u, v, count


@settings(max_examples=300, deadline=None)
@given(
    st.integers(1, 4096),
    st.integers(0, 4096),
    st.integers(0, 131071),
    st.integers(-4095, 4095),
    st.lists(st.integers(-200_000, 200_000), min_size=1, max_size=8),
    st.sampled_from(RESETS),
    st.sampled_from(SPIKES),
)
def test_step_equals_the_integer_formula(
    du: int, dv: int, vth: int, bias: int, drive: list[int], reset: Reset, spikes: Spikes
) -> None:
    p = population(du, dv, vth if spikes == "one" else 20 + vth, bias, reset, spikes)
    state = NeuronState.cleared(1, 1)
    u = v = 0
    for a_in in drive:
        sent = step(p, torch.tensor([float(bias)]), state, torch.tensor([[float(a_in)]], dtype=torch.float64))
        u, v, count = reference(p, u, v, a_in)
        assert (int(state.u), int(state.v), int(sent)) == (u, v, count)


def test_each_neuron_has_its_own_decays() -> None:
    one = population(4096, 0, 50, 3)
    decays = np.array([4096, 700, 1]), np.array([0, 4096, 411])
    together = replace(one, shape=(3,), du=decays[0], dv=decays[1])
    drive = torch.tensor([[90.0, -30.0, 200.0]], dtype=torch.float64)
    bias, state = torch.tensor([3.0]), NeuronState.cleared(1, 3)
    alone = [(replace(one, du=du, dv=dv), NeuronState.cleared(1, 1)) for du, dv in zip(*decays, strict=True)]
    for _ in range(6):
        sent = step(together, bias, state, drive)
        each = [step(p, bias, s, drive[:, i : i + 1]) for i, (p, s) in enumerate(alone)]
        assert torch.equal(sent, torch.cat(each, 1))
        assert torch.equal(state.u, torch.cat([s.u for _, s in alone], 1))
        assert torch.equal(state.v, torch.cat([s.v for _, s in alone], 1))


@pytest.mark.parametrize("state", [-7, -1, 0, 1, 7, STATE_MAX, -STATE_MAX])
@pytest.mark.parametrize("rate", [0, 1, 2048, 4095, 4096])
def test_decay_rounds_toward_zero(state: int, rate: int) -> None:
    expected = (1 if state >= 0 else -1) * ((abs(state) * (4096 - rate)) >> 12)
    assert int(decay(torch.tensor([float(state)], dtype=torch.float64), np.array([rate]))) == expected


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
