"""A child's share of a run: its files, the watch over it, its records."""

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
from snnergy.neuromorphic.ir import QuantNet
from snnergy.neuromorphic.lava import start
from snnergy.neuromorphic.lava.guarded import Guarded, Lost
from snnergy.neuromorphic.lava.held_signals import HeldSignals
from snnergy.neuromorphic.lava.job import Job, create_array, input_columns
from snnergy.neuromorphic.lava.surfacing import reserve
from snnergy.neuromorphic.netx.files import write_netx

_POLL_S = 0.05
_IMPORTED = ("numpy", "scipy", "h5py", "lava")  # by the child
_OUTPUT_TAIL = 2000  # characters of the child's output that a report of its death carries


def folders(package: str) -> list[str]:
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


class Silence:
    """How long a child may go without a step, judged by its clock.

    600 s before there is a speed to go by, which takes two steps, as it imports Lava and builds the processes; then
    20 times what a step has taken, and 60 s at least, as the machine may have other things to do.
    """

    BUILDING_S, STEPPING_S, STEPS = 600.0, 60.0, 20

    def __init__(self, timeout_s: float | None) -> None:
        """Begin to wait; `timeout_s` is allowed instead where it is given."""
        self._timeout_s = timeout_s
        self._first = self._last = 0, time.monotonic()  # step, and when it was seen

    @property
    def allowed_s(self) -> float:
        """Seconds without a step that are allowed now."""
        if self._timeout_s is not None:
            return self._timeout_s
        if self._last == self._first:
            return self.BUILDING_S
        steps, seconds = (last - first for first, last in zip(self._first, self._last, strict=True))
        return max(self.STEPPING_S, self.STEPS * seconds / steps)

    def heard(self, played: int) -> None:
        """Take a look at the clock.

        Raises:
            Lost: nothing has moved for too long.
        """
        now = time.monotonic()
        step, since = self._last
        if played > step:
            self._last = played, now
            if step == 0:
                self._first = self._last
        elif now - since > self.allowed_s:
            where = f"after step {played}" if played else "before its first"
            raise Lost(
                f"it made no step for {now - since:.0f} s, {where}; allow more with a longer time-out, or use the "
                "emulator, which is held to Lava bit for bit"
            )


def execute(
    job: Job,
    guarded: Guarded,
    signals: HeldSignals,
    *,
    timeout_s: float | None = None,
    report: Callable[[int], None] = lambda _finished: None,
) -> None:
    """Run a prepared job in a child of its own.

    Args:
        timeout_s: as `run` takes it.
        report: called with the samples finished so far.

    Raises:
        BackendFailed: an exception ended it.
        Lost: it died, or made no step for too long.
    """
    found = [f"{name}={Path(folder).parent}" for name in _IMPORTED for folder in folders(name)]
    written = ["-B"] if sys.dont_write_bytecode else []
    package = folders("snnergy")[0]
    guarded.start([sys.executable, "-I", *written, "-W", "ignore", start.__file__, str(job.root), package, *found])
    begun, silence = time.monotonic(), Silence(timeout_s)
    while (code := guarded.ended(_POLL_S)) is None and not job.failure.exists():
        signals.check()
        silence.heard(played_of(job))
        report(finished_of(job))
    if job.failure.exists():
        text = job.failure.read_text()
        raise BackendFailed("the Lava simulation failed:" + ("\n" if "\n" in text else " ") + text)
    if code != 0:
        tail = job.output.read_text(errors="replace")[-_OUTPUT_TAIL:].strip()
        raise Lost(
            f"it ended with exit code {code} after {time.monotonic() - begun:.0f} s, as when memory runs out; free "
            "some, or use the emulator, which is held to Lava bit for bit" + (tail and f"; it printed:\n{tail}")
        )


def finished_of(job: Job) -> int:
    """Samples of which every population has handled every step: the step that has begun may not be over."""
    return max(0, played_of(job) - 1 - job.schedule.depth) // job.schedule.steps


def played_of(job: Job) -> int:
    """Lava steps begun so far."""
    try:
        return int(np.load(job.clock)[0])
    except (FileNotFoundError, EOFError, ValueError):  # not there yet, or being created
        return 0


def collect(job: Job, net: QuantNet, inputs: dict[str, IntArray], finished: int) -> Records:
    """The records of the first `finished` samples."""
    values = {port.name: np.ascontiguousarray(inputs[port.name][:finished]) for port in net.inputs}
    state: dict[str, dict[str, IntArray]] = {"s": values, "u": {}, "v": {}}
    for index, population in enumerate(net.populations):
        shape = (finished, job.schedule.steps, *population.shape)
        for quantity in job.quantities(population):
            state[quantity][population.name] = np.load(job.record(index, quantity))[:finished].reshape(shape)
    return Records(values, state["u"], state["v"])
