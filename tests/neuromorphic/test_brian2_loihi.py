"""The emulator against brian2-loihi, in every spike and membrane of single neurons and small recurrent networks.

`benchmarks.oracles.brian2_loihi` drew the cases and asked; its answers lie in a file.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnergy.neuromorphic import emulator
from snnergy.neuromorphic.ir import Dense, InputPort, QuantNet, QuantPopulation, QuantSynapse
from snnergy.neuromorphic.limits import STATE_MAX

ANSWERS = Path(__file__).parents[1] / "fixtures" / "oracles" / "brian2_loihi.npz"


def cases() -> dict[int, dict[str, np.ndarray]]:
    found: dict[int, dict[str, np.ndarray]] = {}
    with np.load(ANSWERS) as file:
        for key in file.files:
            number, name = key.split(".")
            found.setdefault(int(number), {})[name] = file[key]
    return found


def comparable(case: dict[str, np.ndarray]) -> bool:
    """Whether membranes stay within 24 bits, and the exponent shifts no bit out of a weight: else the two differ."""
    divisor = 2 ** -min(int(case["exponent"]), 0)
    weights = np.concatenate([case[name].reshape(-1) for name in ("weight", "recurrent") if name in case])
    return bool(np.abs(case["v"].astype(np.int64)).max() <= STATE_MAX and (weights % divisor == 0).all())


CASES = {number: case for number, case in cases().items() if comparable(case)}
SINGLE = [number for number, case in CASES.items() if "recurrent" not in case]
RECURRENT = [number for number, case in CASES.items() if "recurrent" in case]


def network(case: dict[str, np.ndarray]) -> QuantNet:
    """What was asked for, in chip integers. What a neuron sends itself and its like arrives one step later at least."""
    neurons, inputs = case["weight"].shape
    du, dv, vth, exponent, delay = (int(case[name]) for name in ("du", "dv", "vth", "exponent", "delay"))
    population = QuantPopulation("n", (neurons,), du, dv, vth, np.zeros(1, np.int32), True, 1.0, 1)
    synapses = [QuantSynapse("in", "n", Dense(case["weight"]), exponent, delay)]
    if "recurrent" in case:
        late = 1 + int(case["recurrent_delay"])
        # It starts and ends at the same depth: its own step on the chip is one of those that it is late by.
        synapses.append(QuantSynapse("n", "n", Dense(case["recurrent"]), exponent, late, balance=-1))
    return QuantNet((InputPort("in", (inputs,), "binary"),), (population,), tuple(synapses), ("n",))


def differing(case: dict[str, np.ndarray]) -> dict[str, int]:
    records = emulator.run(network(case), {"in": case["input"][None]}, record_state=True)
    found: Any = {"spikes": records.values["n"][0], "v": records.v["n"][0]}
    return {name: int(np.count_nonzero(array != case[name])) for name, array in found.items()}


@pytest.mark.parametrize("number", SINGLE)
def test_single_neurons_in_every_spike_and_membrane(number: int) -> None:
    assert differing(CASES[number]) == {"spikes": 0, "v": 0}


def test_the_cases_hold_many_spikes_and_every_decay() -> None:
    assert sum(int(case["spikes"].sum()) for case in CASES.values()) > 2000
    assert len(SINGLE) >= 15 and len(RECURRENT) >= 8
    assert {int(case["dv"]) for case in CASES.values()} == {0, 128, 512, 1000, 4096}
    assert {int(case["delay"]) for case in CASES.values()} == {0, 1, 2, 3}


@pytest.mark.skipif(find_spec("snnergy.neuromorphic.loops") is None, reason="the emulator knows no loops yet")
@pytest.mark.parametrize("number", RECURRENT)
def test_recurrent_networks_in_every_spike_and_membrane(number: int) -> None:
    assert differing(CASES[number]) == {"spikes": 0, "v": 0}
