"""A run keeps within the memory that it is given, says what it takes, and is the same whatever its batches are."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.sample_file import sample_source
from snnergy.artefacts.samples import Samples, read_samples
from snnergy.neuromorphic.cost import products, recorded_bytes
from snnergy.neuromorphic.emulator import needed
from snnergy.neuromorphic.emulator.on_torch.memory import at_work
from snnergy.neuromorphic.graph.read_nir import from_graph
from snnergy.neuromorphic.ir import Conv2d, Dense, InputPort, QuantNet, QuantPopulation, QuantSynapse
from snnergy.neuromorphic.lowering.calibrate import FloatActivity
from snnergy.neuromorphic.lowering.compile import compile
from snnergy.neuromorphic.lowering.compiled import Compiled
from snnergy.neuromorphic.lowering.lower import lower
from snnergy.neuromorphic.passes.balance_delays import BalanceDelays
from snnergy.neuromorphic.passes.discretise_time import DiscretiseTime
from snnergy.neuromorphic.passes.fuse import Fuse
from snnergy.neuromorphic.passes.round_decays import RoundDecays
from snnergy.neuromorphic.simulation.plan import planned
from snnergy.neuromorphic.simulation.simulate import simulate
from snnergy.neuromorphic.simulation.verify import verify
from tests.neuromorphic import graphs

MIB = 1 << 20


def network(width: int = 8, *, reset: bool = True) -> QuantNet:
    """An image, a convolution and a dense readout."""
    rng = np.random.default_rng(0)
    maps = (4, width, width)

    def population(name: str, shape: tuple[int, ...], depth: int) -> QuantPopulation:
        return QuantPopulation(name, shape, 4096, 400, 300 if depth == 1 else 131071, np.zeros(1, np.int32), depth == 1,
                               1.0, depth)  # fmt: skip

    kernel = rng.integers(-127, 128, (4, 3, 3, 3)).astype(np.int32)
    weight = rng.integers(-9, 9, (3, 4 * width * width)).astype(np.int32)
    return QuantNet(
        (InputPort("x", (3, width, width), "real", 1 / 255, 8),),
        (population("a", maps, 1), population("b", (3,), 2)),
        (
            QuantSynapse("x", "a", Conv2d(kernel, (3, width, width), padding=(1, 1))),
            QuantSynapse("a", "b", Dense(weight)),
        ),
        ("b",),
        reset,
    )


def images(count: int, width: int = 8, steps: int = 4) -> Samples:
    return Samples({"x": np.random.default_rng(1).random((count, steps, 3, width, width), np.float32)})


def test_costs_of_a_step() -> None:
    net = network()
    assert products(net) == 64 * 4 * 3 * 9 + 3 * 256
    assert recorded_bytes(net) == 4 * 192 + 256 + 8 * 3 + 16 * 2
    assert recorded_bytes(net, record_state=True) - recorded_bytes(net) == 8 * 256


def test_batches_grow_with_the_memory_up_to_what_the_backend_takes() -> None:
    net, samples = network(32), images(200, 32)
    sizes = [planned(net, samples, at_most=64, memory=m * MIB).at_once for m in (22, 24, 32, 512)]
    assert (sizes == sorted(sizes) and sizes[0] < sizes[1] < sizes[2] == sizes[3] == 64) or sizes[-1] == 64
    for allowed in (24, 32):
        plan = planned(net, samples, at_most=64, memory=allowed * MIB)
        assert plan.memory_bytes <= allowed * MIB
    assert planned(net, samples.first(5), at_most=64).at_once == 5


def test_batches_chosen_by_memory_change_nothing() -> None:
    net, samples = network(), images(40)
    tight = planned(net, samples, at_most=64, kept=True, memory=MIB)
    assert tight.at_once < 40
    few, all_at_once = simulate(net, samples, memory="1MiB"), simulate(net, samples)
    np.testing.assert_array_equal(few.logits, all_at_once.logits)
    np.testing.assert_array_equal(few.spikes["a"], all_at_once.spikes["a"])


def test_what_does_not_fit_is_refused_with_a_number() -> None:
    samples = images(3, 32, steps=200)
    with pytest.raises(
        UserError, match=r"one of 3 samples of 200 steps takes .*MiB .* 8\.0MiB are allowed; give fewer"
    ):
        simulate(network(32), samples, memory=8 * MIB, output=Path("never"))
    with pytest.raises(UserError, match="write to a file with `output`, give fewer"):
        simulate(network(32), samples, memory=8 * MIB)
    with pytest.raises(UserError, match="one stream because the network keeps its state"):
        simulate(network(32, reset=False), images(64, 32), memory=8 * MIB)
    with pytest.raises(UserError, match="are allowed; "):
        verify(network(32), samples, memory=8 * MIB)


def test_a_stream_takes_as_much_as_all_its_samples() -> None:
    net = network()
    assert needed(replace(net, reset=False), 50, 4) > needed(net, 16, 4) * 2
    assert planned(replace(net, reset=False), images(50), at_most=1).at_once == 50


def test_on_torch_the_weights_of_a_loop_are_counted_once_for_each_of_their_delays() -> None:
    def loop(delays: int) -> QuantNet:
        net = network()
        each = np.arange(256 * 256, dtype=np.int32).reshape(256, 256) % delays
        within = QuantSynapse("a", "a", Dense(np.ones((256, 256), np.int32), each), delay=1, balance=-1)
        return replace(net, synapses=(*net.synapses, within))

    none, one, five = (at_work(net, 1, 4, False) for net in (network(), loop(1), loop(5)))
    assert five - one == 4 * 12 * 256 * 256 and one - none >= 12 * 256 * 256


def test_a_part_of_an_array_keeps_the_whole() -> None:
    net, whole = network(), images(300)
    one = planned(net, whole.first(1), at_most=64)
    assert one.memory_bytes > whole.arrays["x"].nbytes and one.samples == one.at_once == 1


def test_samples_in_a_file_may_be_more_than_the_memory(tmp_path: Path) -> None:
    net, data = network(), images(3000)
    np.savez(tmp_path / "x.npz", **data.arrays)
    source = sample_source(tmp_path / "x.npz", {"x": (3, 8, 8)})
    plan = planned(net, source, at_most=64, memory=6 * MIB)
    assert plan.at_once > 1 and plan.memory_bytes <= 6 * MIB < data.arrays["x"].nbytes
    with pytest.raises(UserError, match="are allowed"):
        planned(net, data, at_most=64, memory=6 * MIB)
    run = simulate(net, tmp_path / "x.npz", memory=6 * MIB, record="counts", output=tmp_path / "run.h5")
    np.testing.assert_array_equal(run.logits, simulate(net, data, record="counts").logits)


def test_calibration_is_held_to_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    source = from_graph(graphs.branched())
    net = RoundDecays()(BalanceDelays()(DiscretiseTime()(Fuse()(source))))
    monkeypatch.setenv("SNNERGY_MEMORY", "1MiB")
    with pytest.raises(UserError, match=r"calibration: 24 samples .* use fewer calibration samples, such as (\d+)"):
        FloatActivity(source, graphs.samples(300), net)
    assert next(FloatActivity(source, graphs.samples(2), net).batches())


def test_calibration_samples_beyond_those_of_the_trials_cost_no_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, samples = from_graph(graphs.branched()), graphs.samples(60)
    whole = lower(source, samples)
    monkeypatch.setenv("SNNERGY_MEMORY", "2MiB")
    assert_same(lower(source, samples), whole)


def assert_same(one: Compiled, other: Compiled) -> None:
    assert one.fidelity == other.fidelity
    for mine, theirs in zip(one.net.synapses, other.net.synapses, strict=True):
        np.testing.assert_array_equal(mine.operator.weight, theirs.operator.weight)


def test_calibration_samples_in_a_file_may_be_more_than_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, samples = graphs.branched(), graphs.samples(900)
    whole = compile(graph, calibration=samples)
    np.savez(tmp_path / "x.npz", label=samples.labels, **samples.arrays)
    monkeypatch.setenv("SNNERGY_MEMORY", "2MiB")
    assert samples.arrays["image"].nbytes > 2 * MIB
    with pytest.raises(UserError, match="are allowed"):
        read_samples(tmp_path / "x.npz", {"image": graphs.SHAPE})
    assert_same(compile(graph, calibration=tmp_path / "x.npz"), whole)


MEASURE = """
import sys
from pathlib import Path
from snnergy.neuromorphic.simulation.simulate import simulate
from tests.neuromorphic.test_memory import MIB, images, network
def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:"))
folder = Path(sys.argv[1])
simulate(network(), images(2), output=folder / "warm.h5")
base = peak()
simulate(network(64), images(24, 64), memory=32 * MIB, output=folder / "run.h5")
print(peak() - base)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_run_stays_below_its_memory(tmp_path: Path) -> None:
    assert planned(network(64), images(24, 64), at_most=64).memory_bytes > 32 * MIB
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path)], capture_output=True, text=True, check=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert MIB < int(done.stdout) < 32 * MIB
