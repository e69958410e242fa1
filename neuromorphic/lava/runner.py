"""Runs an integer network in stock Lava: children of bounded age take its samples, each goes on where one left off."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from snnergy.artefacts.errors import BackendFailed, UserError
from snnergy.artefacts.records import Records, joined
from snnergy.artefacts.types import IntArray
from snnergy.neuromorphic.continuous import folded, unfolded, unfolded_progress
from snnergy.neuromorphic.inputs import check_integers
from snnergy.neuromorphic.ir import QuantNet
from snnergy.neuromorphic.lava.guarded import Guarded, Lost
from snnergy.neuromorphic.lava.held_signals import HeldSignals
from snnergy.neuromorphic.lava.job import Job
from snnergy.neuromorphic.lava.schedule import schedule_of
from snnergy.neuromorphic.lava.stretch import collect, execute, finished_of, folders, prepare
from snnergy.neuromorphic.lava.synapses import held_form, unrolled_nonzeros

# An entry of an unrolled matrix: int32 value and column, held by builder, process and the stock model's copies.
_BYTES_PER_WEIGHT = 8 * 4
SAMPLES_MAX = 256  # of one child, whose files hold them all; starting it takes as long as many


def run(
    net: QuantNet,
    inputs: dict[str, IntArray],
    *,
    record_state: bool = True,
    timeout_s: float | None = None,
    progress: Callable[[int], None] | None = None,
) -> Records:
    """Simulate `net` in Lava's bit-accurate fixed point.

    Where a child dies or falls silent, what it has finished is kept, and the sample that it was on is given to another,
    alone and once.

    Args:
        inputs: integers of each input port, `(N, T, *shape)`; one stream where the network keeps its state.
        record_state: also keep u and v of every population (of readouts they are kept always).
        timeout_s: seconds without a step after which a child is given up; None for what `stretch.Silence` allows.
        progress: called with the number of samples finished since the last call.

    Returns:
        Records in logical time; delivered events are not counted here.

    Raises:
        UserError: Lava cannot run here, or the network or an input does not fit it.
        BackendFailed: the simulation raised, with its traceback, or was lost twice on one sample.
    """
    _require_lava()
    check_integers(net, inputs)
    _check_fits(net)
    samples = next(iter(inputs.values())).shape[0]
    inputs, progress = folded(net, inputs), unfolded_progress(net, progress, samples)
    count = schedule_of(net, inputs).samples
    parts: list[Records] = []
    done, tried = 0, None
    with HeldSignals() as signals:
        while done < count:
            stop = done + 1 if done == tried else min(done + SAMPLES_MAX, count)
            rows = {name: array[done:stop] for name, array in inputs.items()}
            part, lost = _share(net, rows, record_state, signals, timeout_s, progress)
            if part is not None:
                parts.append(part)
                done += len(part)
            if lost is not None and done < stop:
                if done == tried:
                    where = f"sample {done} (of {count}, from 0)" if net.reset else f"the stream of {samples} samples"
                    raise BackendFailed(f"Lava was lost twice on {where}: {lost}") from lost
                tried = done
    return unfolded(net, joined(parts), samples)


def _share(
    net: QuantNet,
    inputs: dict[str, IntArray],
    record_state: bool,
    signals: HeldSignals,
    timeout_s: float | None,
    progress: Callable[[int], None] | None,
) -> tuple[Records | None, Lost | None]:
    """Records of the samples that one child finished, if there are any, and how it was lost, if it was."""
    reported = 0

    def report(finished: int) -> None:
        nonlocal reported
        if progress is not None and finished > reported:
            progress(finished - reported)
        reported = max(reported, finished)

    with Guarded() as guarded:
        job = Job(guarded.folder, schedule_of(net, inputs), record_state, guarded.segments)
        prepare(job, net, inputs)
        signals.check()
        lost = None
        try:
            execute(job, guarded, signals, timeout_s=timeout_s, report=report)
        except Lost as error:
            lost = error
        finished = job.schedule.samples if lost is None else finished_of(job)
        report(finished)
        return collect(job, net, inputs, finished) if finished else None, lost


def _require_lava() -> None:
    version = sys.version_info[:2]
    # Looked for without importing it: what the parent's path leads to may be no Lava of Intel's.
    if version != (3, 10) or not any(Path(folder, "magma").is_dir() for folder in folders("lava")):
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
