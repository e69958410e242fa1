"""The emulator beside Lava's fixed point on one sample: the graph that netx builds of a `.net` file, and our own.

Two ratios. By the whole run: what a user waits for from the call to the spikes of the last layer, in Lava the start of
its processes included, in the emulator the packing of the network. By the step: Lava's is the difference of a long and
a short run, for it is slow to start; the emulator's is a run by its steps. Nothing is reported before the spikes are
equal; of our graph u and v of every population are compared as well.
"""

from __future__ import annotations

import statistics
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.emulator.networks import NETWORKS, STEPS, spikes
from benchmarks.emulator.stock import stock_run
from benchmarks.emulator.turns import clocked, in_turns, medians
from snnergy.artefacts.records import Records
from snnergy.artefacts.types import IntArray
from snnergy.neuromorphic import emulator, lava
from snnergy.neuromorphic.emulator.layerwise import Emulation
from snnergy.neuromorphic.ir import QuantNet
from snnergy.neuromorphic.netx.files import read_netx, stock_obstacles, write_netx

# lava-dl's trained network of 64 channels of a cochlea, three dense layers with delays and currents that decay, and the
# spikes that it was recorded with; the layer behind the fifth is one that netx cannot build.
VECTORS = Path(sysconfig.get_path("purelib")) / "tests/lava/lib/dl/netx/gts/ntidigits"
_LAYERS = 5
_SHORT = 10  # that part of a run's steps is the short run
_OURS_A_ROUND = 5


@dataclass(frozen=True)
class Case:
    """A network, its file, its input of one sample; layers: of the file that netx builds, 0 for all."""

    name: str
    net: QuantNet
    file: Path
    inputs: dict[str, IntArray]
    layers: int = 0

    @property
    def steps(self) -> int:
        """Of the sample."""
        return next(iter(self.inputs.values())).shape[1]

    def first(self, steps: int) -> Case:
        """The same on that many steps."""
        inputs = {name: array[:, :steps] for name, array in self.inputs.items()}
        return Case(self.name, self.net, self.file, inputs, self.layers)

    def stock(self) -> tuple[IntArray, float]:
        """Spikes of the last layer in stock Lava, `(T, …)`, and seconds."""
        (frames,) = self.inputs.values()
        frames = frames[0] if self.net.reset else frames[0].reshape(self.steps, -1)
        reset = self.steps if self.net.reset else 0
        (sent,), seconds = stock_run(self.file, frames, reset=reset, layers=self.layers)
        late = len(self.net.populations)
        return sent[late : late + self.steps].astype(np.int32), seconds


def cases(folder: Path) -> Iterator[Case]:
    """The networks that are compared, with their files in `folder` where they are ours."""
    for name, (make, rate) in NETWORKS.items():
        net, file = make(), folder / f"{name}.net"
        assert stock_obstacles(net) == ()
        write_netx(net, file)
        yield Case(name, net, file, spikes(net, 1, STEPS, rate))
    net = read_netx(VECTORS / "ntidigits.net", num_layers=_LAYERS)
    frames = np.load(VECTORS / "input.npy").astype(np.int32).T
    inputs = {net.inputs[0].name: frames.reshape(1, len(frames), *net.inputs[0].shape)}
    yield Case("ntidigits", net, VECTORS / "ntidigits.net", inputs, _LAYERS)


def rows(rounds: int, names: tuple[str, ...] = ("dense", "conv", "ntidigits")) -> Iterator[dict[str, Any]]:
    """Two rows a network."""
    with tempfile.TemporaryDirectory(prefix="snnergy-benchmark-") as folder:
        for case in cases(Path(folder)):
            if case.name in names:
                yield _beside(case, "ours", rounds, _compared_with_ours(case), _timed_ours)
                yield _beside(case, "stock", rounds, _compared_with_stock(case), lambda part: part.stock()[1])


def require_equal(ours: Records, theirs: Records) -> int:
    """Values compared; raises where one differs."""
    compared = 0
    for mine, others in ((ours.values, theirs.values), (ours.u, theirs.u), (ours.v, theirs.v)):
        for name in others:
            np.testing.assert_array_equal(mine[name], others[name], err_msg=name)
            compared += others[name].size
    return compared


def _compared_with_ours(case: Case) -> int:
    given = emulator.run(case.net, case.inputs, record_state=True)
    return require_equal(given, lava.run(case.net, case.inputs, record_state=True))


def _compared_with_stock(case: Case) -> int:
    ours = emulator.run(case.net, case.inputs).values[case.net.outputs[0]][0]
    theirs, _ = case.stock()
    np.testing.assert_array_equal(ours.reshape(case.steps, -1), theirs.reshape(case.steps, -1))
    return theirs.size


def _timed_ours(case: Case) -> float:
    return clocked(lambda: lava.run(case.net, case.inputs, record_state=False))()


def _beside(case: Case, graph: str, rounds: int, compared: int, in_lava: Callable[[Case], float]) -> dict[str, Any]:
    """One row; the run that compared has warmed Lava's files up."""
    short, emulation = case.first(case.steps // _SHORT), Emulation(case.net)

    def several(call: Callable[[], object]) -> float:
        return statistics.median(clocked(call)() for _ in range(_OURS_A_ROUND))

    several(lambda: emulation.run(case.inputs))
    seconds = medians(
        in_turns(
            {
                "steps": lambda: several(lambda: emulation.run(case.inputs)),
                "call": lambda: several(lambda: emulator.run(case.net, case.inputs)),
                "lava": lambda: in_lava(case),
                "lava_short": lambda: in_lava(short),
            },
            rounds,
            warm=False,
        )
    )
    step = (seconds["lava"] - seconds["lava_short"]) / (case.steps - short.steps)
    ours = seconds["steps"] / case.steps
    return {
        "kind": "lava",
        "network": case.name,
        "graph": graph,
        "steps": case.steps,
        "runs": rounds,
        "seconds_whole_run": {"emulator": round(seconds["call"], 6), "lava": round(seconds["lava"], 3)},
        "seconds_a_step": {"emulator": round(ours, 9), "lava": round(step, 7)},
        "ratio_whole_run": round(seconds["lava"] / seconds["call"], 1),
        "ratio_by_step": round(step / ours, 1),
        "values_equal_to_lava": compared,
    }
