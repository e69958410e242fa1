"""Single neurons and small recurrent networks as brian2-loihi simulates them, which was held to the chip itself.

    ENVIRONMENT/bin/python -m benchmarks.oracles.brian2_loihi tests/fixtures/oracles/brian2_loihi.npz

Michaelis, Lehr, Oed, Tetzlaff 2022: "Brian2Loihi: An emulator for the neuromorphic chip Loihi using the spiking neural
network simulator Brian". Each case is drawn by its number: decays, threshold, exponent, delay, even mixed-sign weights,
spikes that come in. `case.field` in the file is what was drawn, `case.spikes` and `case.v` `(T, neurons)` the answer.
A spike of a neuron meets its targets in the next step, as Loihi's do. brian2-loihi lets states grow beyond 24 bits, and
an exponent that shifts bits out of a weight drops them weight by weight, Lava from their sum: such cases are there, and
no measure.
"""

from __future__ import annotations

import sys
from typing import Any

import brian2
import numpy as np
import numpy.typing as npt
from brian2_loihi import (
    LoihiNetwork,
    LoihiNeuronGroup,
    LoihiSpikeGeneratorGroup,
    LoihiSpikeMonitor,
    LoihiStateMonitor,
    LoihiSynapses,
    synapse_sign_mode,
)

SINGLE, RECURRENT, STEPS = 24, 12, 120
Case = dict[str, npt.NDArray[Any]]


def drawn(number: int) -> Case:
    """Parameters and input of a case; from `SINGLE` on it is recurrent."""
    rng = np.random.default_rng(number)
    recurrent = number >= SINGLE
    inputs, neurons = (4, int(rng.integers(3, 9))) if recurrent else (3, 1)
    case = {
        "du": rng.choice([4096, 2048, 819, 410, 100]),
        "dv": rng.choice([0, 128, 512, 1000, 4096]),
        "vth": rng.integers(20, 600),
        "exponent": rng.integers(-2, 3),
        "delay": rng.integers(0, 4),
        "weight": 2 * rng.integers(-40, 80, (neurons, inputs)),
        "input": (rng.random((STEPS, inputs)) < 0.3).astype(np.uint8),
    }
    if recurrent:
        case["recurrent"] = 2 * rng.integers(-40, 40, (neurons, neurons))
        case["recurrent_delay"] = rng.integers(0, 3)
    return {name: np.asarray(value, np.int32) for name, value in case.items()}


def answered(case: Case) -> Case:
    """Spikes and v of every step."""
    brian2.start_scope()
    neurons, inputs = case["weight"].shape
    when, which = np.nonzero(case["input"])
    generator = LoihiSpikeGeneratorGroup(inputs, which, when)
    group = LoihiNeuronGroup(
        neurons,
        refractory=1,
        threshold_v_mant=int(case["vth"]),
        decay_v=int(case["dv"]),
        decay_I=int(case["du"]),
    )
    parts = [generator, group, _joined(generator, group, case, "weight", "delay")]
    if "recurrent" in case:
        parts.append(_joined(group, group, case, "recurrent", "recurrent_delay"))
    spikes, state = LoihiSpikeMonitor(group), LoihiStateMonitor(group, "v")
    LoihiNetwork(*parts, spikes, state).run(STEPS)
    fired = np.zeros((STEPS, neurons), np.uint8)
    fired[np.asarray(spikes.t, int), np.asarray(spikes.i, int)] = 1
    return {"spikes": fired, "v": np.asarray(state.v).T.astype(np.int32)}


def _joined(source: Any, target: Any, case: Case, weight: str, delay: str) -> Any:
    synapses = LoihiSynapses(
        source,
        target,
        delay=int(case[delay]),
        w_exp=int(case["exponent"]),
        sign_mode=synapse_sign_mode.MIXED,
    )
    synapses.connect()
    matrix = case[weight]
    synapses.w = np.array([matrix[j, i] for i, j in zip(synapses.i, synapses.j, strict=True)])
    return synapses


def main() -> None:
    """Write every case to the file that the command line names."""
    brian2.prefs.codegen.target = "numpy"
    cases = [drawn(number) for number in range(SINGLE + RECURRENT)]
    found = {f"{n}.{name}": value for n, c in enumerate(cases) for name, value in (c | answered(c)).items()}
    np.savez_compressed(sys.argv[1], **found)
    print(len(cases), "cases,", sum(int(found[f"{n}.spikes"].sum()) for n in range(len(cases))), "spikes")


if __name__ == "__main__":
    main()
