"""Runs an integer network in stock Lava: job folder, child, watchdog, records; the guard leaves nothing of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from snnergy.artefacts.errors import BackendFailed, OutputRefused, UserError
from snnergy.artefacts.records import Records
from snnergy.artefacts.types import IntArray
from snnergy.neuromorphic.continuous import folded, unfolded, unfolded_progress
from snnergy.neuromorphic.inputs import check_integers
from snnergy.neuromorphic.ir import QuantNet
from snnergy.neuromorphic.lava import start
from snnergy.neuromorphic.lava.guarded import Guarded
from snnergy.neuromorphic.lava.held_signals import HeldSignals
from snnergy.neuromorphic.lava.job import Job, create_array, input_columns
from snnergy.neuromorphic.lava.schedule import schedule_of
from snnergy.neuromorphic.lava.surfacing import reserve
from snnergy.neuromorphic.lava.synapses import held_form, unrolled_nonzeros
from snnergy.neuromorphic.netx.files import write_netx

_POLL_S = 0.05
_IMPORTED = ("numpy", "scipy", "h5py", "lava")  # by the child
_OUTPUT_TAIL = 2000  # characters of the child's output that a report of its death carries
# An entry of an unrolled matrix: int32 value and column, held by builder, process and the stock model's copies.
_BYTES_PER_WEIGHT = 8 * 4


def run(
    net: QuantNet,
    inputs: dict[str, IntArray],
    *,
    record_state: bool = True,
    timeout_s: float = 3600.0,
    progress: Callable[[int], None] | None = None,
) -> Records:
    """Simulate `net` in Lava's bit-accurate fixed point.

    Args:
        inputs: integers of each input port, `(N, T, *shape)`; one stream where the network keeps its state.
        record_state: also keep u and v of every population (of readouts they are kept always).
        timeout_s: wall time after which the run is given up.
        progress: called with the number of samples finished since the last call.

    Returns:
        Records in logical time; delivered events are not counted here.

    Raises:
        UserError: Lava cannot run here, or the network or an input does not fit it.
        BackendFailed: the simulation raised, died or took longer than `timeout_s`; carries its traceback.
    """
    _require_lava()
    check_integers(net, inputs)
    _check_fits(net)
    samples = next(iter(inputs.values())).shape[0]
    inputs, progress = folded(net, inputs), unfolded_progress(net, progress, samples)
    schedule = schedule_of(net, inputs)
    with HeldSignals() as signals, Guarded() as guarded:
        job = Job(guarded.folder, schedule, record_state, guarded.segments)
        prepare(job, net, inputs)
        signals.check()
        execute(job, guarded, signals, timeout_s=timeout_s, progress=progress)
        return unfolded(net, _collect(job, net, inputs), samples)


def _require_lava() -> None:
    version = sys.version_info[:2]
    # Looked for without importing it: what the parent's path leads to may be no Lava of Intel's.
    if version != (3, 10) or not any(Path(folder, "magma").is_dir() for folder in _folders("lava")):
        raise UserError(
            f"the Lava backend needs Python 3.10 with lava-nc 0.10.0, this is Python {version[0]}.{version[1]}; "
            "run `uv sync --python 3.10`, or use the emulator, which is held to Lava bit for bit"
        )


def _check_fits(net: QuantNet) -> None:
    """Refuse weights that Lava would change and matrices that do not fit into memory."""
    violations: list[str] = []
    for synapse in net.synapses:
        try:
            held_form(synapse)
        except UserError as error:
            violations += error.violations
    needed = sum(unrolled_nonzeros(synapse.operator) for synapse in net.synapses) * _BYTES_PER_WEIGHT
    available = _available_bytes()
    if needed > available:
        violations.append(
            f"Lava needs about {needed >> 20} MiB for {len(net.synapses)} synapses, {available >> 20} MiB are free; "
            "use the emulator, or a smaller input resolution"
        )
    if violations:
        raise UserError(violations)


def _available_bytes() -> int:
    """Memory that Linux could hand out without swapping."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))


def _folders(package: str) -> list[str]:
    """Where a package lies, none where there is none."""
    spec = find_spec(package)
    return [] if spec is None else list(spec.submodule_search_locations or ())


def prepare(job: Job, net: QuantNet, inputs: dict[str, IntArray]) -> None:
    """Fill the job folder.

    Raises:
        UserError: the files have no room there.
    """
    samples, steps = job.schedule.samples, job.schedule.steps
    columns = input_columns(net)
    width = max(column.stop for column in columns.values())
    try:
        job.save()
        reserve(job.failure)
        write_netx(net, job.net)
        create_array(job.clock, np.int64, (1,))
        for index, population in enumerate(net.populations):
            for quantity in job.quantities(population):
                dtype = population.spike_type if quantity == "s" else np.int32
                create_array(job.record(index, quantity), dtype, (samples, steps, population.size))
        frames = create_array(job.inputs, np.int32, (samples * steps, width))
    except (OSError, RuntimeError, OutputRefused) as error:  # HDF5 raises either where the disk is full
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise UserError(
            f"{job.root.parent}: Lava's files cannot be written there while it runs ({reason}); make room, set TMPDIR "
            "to another folder, or run fewer samples"
        ) from error
    for name, column in columns.items():
        frames[:, column] = inputs[name].reshape(samples * steps, -1)
    frames.flush()


def execute(
    job: Job,
    guarded: Guarded,
    signals: HeldSignals,
    *,
    timeout_s: float,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Run a prepared job in a child of its own.

    Raises:
        BackendFailed: as `run`.
    """
    found = [f"{name}={Path(folder).parent}" for name in _IMPORTED for folder in _folders(name)]
    written = ["-B"] if sys.dont_write_bytecode else []
    package = _folders("snnergy")[0]
    guarded.start([sys.executable, "-I", *written, "-W", "ignore", start.__file__, str(job.root), package, *found])
    deadline = time.monotonic() + timeout_s
    reported = 0
    while (code := guarded.ended(_POLL_S)) is None and not job.failure.exists():
        signals.check()
        if time.monotonic() > deadline:
            raise BackendFailed(
                f"Lava did not finish {job.schedule.lava_steps} steps within {timeout_s:g} s, it reached step "
                f"{_played(job)}; run fewer samples or raise the time-out"
            )
        if progress is not None and (finished := _finished(job)) > reported:
            progress(finished - reported)
            reported = finished
    if job.failure.exists():
        text = job.failure.read_text()
        raise BackendFailed("the Lava simulation failed:" + ("\n" if "\n" in text else " ") + text)
    if code != 0:
        tail = job.output.read_text(errors="replace")[-_OUTPUT_TAIL:].strip()
        raise BackendFailed(f"the Lava simulation ended with exit code {code}" + (tail and f"; it printed:\n{tail}"))
    if progress is not None and reported < job.schedule.samples:
        progress(job.schedule.samples - reported)


def _finished(job: Job) -> int:
    """Samples that have left the deepest population."""
    return max(0, _played(job) - job.schedule.depth) // job.schedule.steps


def _played(job: Job) -> int:
    """Lava steps begun so far."""
    try:
        return int(np.load(job.clock)[0])
    except (FileNotFoundError, EOFError, ValueError):  # not there yet, or being created
        return 0


def _collect(job: Job, net: QuantNet, inputs: dict[str, IntArray]) -> Records:
    values = {port.name: np.ascontiguousarray(inputs[port.name]) for port in net.inputs}
    state: dict[str, dict[str, IntArray]] = {"s": values, "u": {}, "v": {}}
    for index, population in enumerate(net.populations):
        shape = (job.schedule.samples, job.schedule.steps, *population.shape)
        for quantity in job.quantities(population):
            state[quantity][population.name] = np.load(job.record(index, quantity)).reshape(shape)
    return Records(values, state["u"], state["v"])
