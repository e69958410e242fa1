"""How fast the emulator is beside what computes the same: SpikingJelly in floating point, and Lava in fixed point.

    python -m benchmarks.emulator -o benchmarks/results/emulator.json

Every network runs with the same weights and the same input everywhere, on one thread. Contestants take turns, so that
what disturbs the machine disturbs them alike; a figure is the median over the rounds. Lava is slow to start: its time
is that of the steps, the difference of a long and a short run. Before a ratio is written, spikes, u and v of every
population are held to Lava's, bit for bit.

`stock` is the graph that lava-dl's netx builds of the network's `.net` file, `ours` the one of `neuromorphic/lava`.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import nir
import numpy as np
import torch
from spikingjelly.activation_based import functional, layer, neuron

from benchmarks.results_file import write_rows
from snnergy.artefacts.records import Records
from snnergy.artefacts.samples import Samples
from snnergy.artefacts.types import IntArray
from snnergy.neuromorphic import lava
from snnergy.neuromorphic.emulator.layerwise import Emulation
from snnergy.neuromorphic.graph.read_nir import from_graph
from snnergy.neuromorphic.ir import Conv2d, Dense, InputPort, Operator, QuantNet, QuantPopulation, QuantSynapse
from snnergy.neuromorphic.lowering.lower import lower

STEPS = 100
SHORT = 10  # steps of the run that is taken off Lava's long one
SAMPLES = 3  # that `compile` calibrates on
DECAY = 1024  # of a membrane, in 4096ths
WEIGHT = 127


def chain(shape: tuple[int, ...], layers: list[tuple[Operator, int]], rng: np.random.Generator) -> QuantNet:
    """Populations one behind the other; each operator gets random weights, and each population its threshold."""
    populations, synapses, source = [], [], "x"
    for depth, (operator, threshold) in enumerate(layers, 1):
        name = f"layer{depth}"
        weight = rng.integers(-WEIGHT, WEIGHT, operator.weight.shape, endpoint=True).astype(np.int32)
        populations.append(
            QuantPopulation(
                name,
                operator.output_shape,
                np.array([4096]),
                np.array([DECAY]),
                threshold,
                np.zeros(1, np.int32),
                True,
                1.0,
                depth,
            )
        )
        synapses.append(QuantSynapse(source, name, type(operator)(**{**vars(operator), "weight": weight})))
        source = name
    return QuantNet((InputPort("x", shape, "binary"),), tuple(populations), tuple(synapses), (source,))


def dense(width: int = 1024) -> QuantNet:
    """Three dense layers, which fire at about 10 to 20 % if 5 % of the inputs spike."""
    empty = Dense(np.zeros((width, width), np.int32))
    return chain((width,), [(empty, int(limit * (width / 1024) ** 0.5)) for limit in (750, 1050, 1250)],
                 np.random.default_rng(0))  # fmt: skip


def conv(side: int = 32) -> QuantNet:
    """Two convolutions of 3 × 3 and ten outputs; the layers fire at about 8 to 14 % if 8 % of the inputs spike."""
    first = Conv2d(np.zeros((16, 2, 3, 3), np.int32), (2, side, side), padding=(1, 1))
    second = Conv2d(np.zeros((32, 16, 3, 3), np.int32), (16, side, side), padding=(1, 1))
    readout = Dense(np.zeros((10, 32 * side * side), np.int32))
    return chain((2, side, side), [(first, 130), (second, 300), (readout, 7000)], np.random.default_rng(0))


NETWORKS: dict[str, tuple[Callable[[], QuantNet], float]] = {"dense": (dense, 0.05), "conv": (conv, 0.08)}


def spikes(net: QuantNet, samples: int, steps: int, rate: float) -> dict[str, IntArray]:
    """Random input."""
    shape = (samples, steps, *net.inputs[0].shape)
    return {"x": (np.random.default_rng(1).random(shape) < rate).astype(np.int32)}


def in_spikingjelly(net: QuantNet) -> torch.nn.Sequential:
    """The network in floating point, many steps a call."""
    modules: list[torch.nn.Module] = []
    for synapse, population in zip(net.synapses, net.populations, strict=True):
        operator = synapse.operator
        outputs, inputs, *taps = operator.weight.shape
        if isinstance(operator, Conv2d):
            weighted: Any = layer.Conv2d(inputs, outputs, taps, padding=operator.padding, bias=False, step_mode="m")
        else:
            modules.append(layer.Flatten(step_mode="m"))
            weighted = layer.Linear(inputs, outputs, bias=False, step_mode="m")
        weighted.weight.data = torch.from_numpy(operator.weight).float()
        modules += [
            weighted,
            neuron.LIFNode(
                4096 / DECAY, decay_input=False, v_threshold=float(population.vth), v_reset=0.0, step_mode="m"
            ),
        ]
    return torch.nn.Sequential(*modules).eval()


def in_turns(contestants: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each; the first round is thrown away."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds + 1):
        for name, call in contestants.items():
            begun = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - begun)
    return {name: statistics.median(times[1:]) for name, times in seconds.items()}


def beside_spikingjelly(name: str, batch: int, rounds: int) -> dict[str, Any]:
    """One network at one batch size."""
    make, rate = NETWORKS[name]
    net = make()
    inputs = spikes(net, batch, STEPS, rate)
    emulation, model = Emulation(net), in_spikingjelly(net)
    stepped = torch.from_numpy(inputs["x"]).float().transpose(0, 1).contiguous()

    def forward() -> torch.Tensor:
        functional.reset_net(model)
        with torch.inference_mode():
            return model(stepped)

    records = emulation.run(inputs)
    last = records.values[net.outputs[0]]
    same = float((forward().transpose(0, 1).numpy() == last).mean())
    seconds = in_turns({"emulator": lambda: emulation.run(inputs), "spikingjelly": forward}, rounds)
    events = sum(int(counts.sum()) for counts in records.delivered)
    return {
        "network": name,
        "batch": batch,
        "steps": STEPS,
        "rates": {node: round(float(values.mean()), 3) for node, values in records.values.items()},
        "events": events,
        "seconds": {who: round(value, 6) for who, value in seconds.items()},
        "same_output_spikes_as_spikingjelly": same,
        "ratio_spikingjelly": round(seconds["spikingjelly"] / seconds["emulator"], 2),
        "events_per_second": round(events / seconds["emulator"]),
    }


def require_equal(ours: Records, theirs: Records) -> int:
    """Values compared; raises where one differs."""
    compared = 0
    for mine, others in ((ours.values, theirs.values), (ours.u, theirs.u), (ours.v, theirs.v)):
        for name in others:
            np.testing.assert_array_equal(mine[name], others[name], err_msg=name)
            compared += others[name].size
    return compared


def beside_lava(name: str, rounds: int) -> dict[str, Any]:
    """One network, one sample, in our graph of Lava."""
    make, rate = NETWORKS[name]
    net = make()
    inputs = spikes(net, 1, STEPS, rate)
    short = {"x": inputs["x"][:, :SHORT]}
    emulation = Emulation(net)
    compared = require_equal(emulation.run(inputs, record_state=True), lava.run(net, inputs, record_state=True))

    def timed(given: dict[str, IntArray]) -> float:
        begun = time.perf_counter()
        lava.run(net, given)
        return time.perf_counter() - begun

    per_step = statistics.median(timed(inputs) - timed(short) for _ in range(rounds)) / (STEPS - SHORT)
    ours = in_turns({"emulator": lambda: emulation.run(inputs)}, 7)["emulator"] / STEPS
    return {
        "network": name,
        "steps": STEPS,
        "seconds_a_step": {"emulator": round(ours, 8), "lava_ours": round(per_step, 6)},
        "values_equal_to_lava": compared,
        "ratio_lava_ours": round(per_step / ours, 1),
    }


def compiling(name: str) -> dict[str, Any]:
    """Seconds that `compile` takes for a network in floating point, with as many samples as its memory allows."""
    make, rate = NETWORKS[name]
    net = make()
    samples = Samples({"x": spikes(net, SAMPLES, STEPS, rate)["x"].astype(np.float32)})
    source = from_graph(as_nir(net))
    begun = time.perf_counter()
    lower(source, samples)
    return {"network": name, "calibration_samples": SAMPLES, "compile_seconds": round(time.perf_counter() - begun, 2)}


def as_nir(net: QuantNet) -> nir.NIRGraph:
    """A chain as a graph of floats."""
    nodes: dict[str, Any] = {"x": nir.Input({"input": np.array(net.inputs[0].shape)})}
    for synapse, population in zip(net.synapses, net.populations, strict=True):
        operator, size = synapse.operator, population.shape
        weight = operator.weight.astype(np.float32)
        if isinstance(operator, Conv2d):
            bias = np.zeros(len(weight), np.float32)
            nodes[f"w.{population.name}"] = nir.Conv2d(None, weight, 1, operator.padding, 1, 1, bias)
        else:
            nodes[f"f.{population.name}"] = nir.Flatten({"input": None}, 0, -1)
            nodes[f"w.{population.name}"] = nir.Linear(weight)
        full = np.full(size, 4096 / DECAY, np.float32)
        nodes[population.name] = nir.LIF(full, full, 0 * full, 0 * full + population.vth, 0 * full)
    nodes["out"] = nir.Output({"output": np.array(net.populations[-1].shape)})
    names = list(nodes)
    return nir.NIRGraph(nodes, list(pairwise(names)), metadata={"dt": 1.0}, type_check=False)


def main() -> None:
    """Measure everything, and write it after each row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    for name in NETWORKS:
        rows += [beside_spikingjelly(name, batch, arguments.rounds) for batch in (1, 16)]
        rows += [beside_lava(name, 5), compiling(name)]
    for row in rows:
        print(row)
    best = {
        f"{figure}_{row['network']}": row[figure]
        for figure in ("ratio_lava_ours", "ratio_spikingjelly", "events_per_second", "compile_seconds")
        for row in rows
        if row.get(figure) and row.get("batch", 1) == 1
    }
    write_rows(arguments.output, "benchmarks.emulator", rows, seeds=[0, 1], **best)


if __name__ == "__main__":
    main()
