"""Samples through an integer network, on any backend, recorded in memory or straight into a file."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import h5py
import numpy as np

from snnergy.artefacts.activity_file import activity_of
from snnergy.artefacts.budget import parse_size
from snnergy.artefacts.errors import BackendFailed, UserError
from snnergy.artefacts.files import refuse_overwrite, written_whole
from snnergy.artefacts.hdf5 import CHECKED
from snnergy.artefacts.late_errors import LateErrors
from snnergy.artefacts.records import Records, added
from snnergy.artefacts.sample_file import SampleFile, sample_source
from snnergy.artefacts.samples import Samples, SampleSource
from snnergy.artefacts.types import Recording
from snnergy.neuromorphic.inputs import check_range, shapes_of, to_integers
from snnergy.neuromorphic.ir import QuantNet
from snnergy.neuromorphic.simulation import decode
from snnergy.neuromorphic.simulation.backends import Backend, Emulator, Progress, as_backend
from snnergy.neuromorphic.simulation.cluster import on_cluster
from snnergy.neuromorphic.simulation.networks import Named, NetSource, as_network
from snnergy.neuromorphic.simulation.plan import Plan, planned
from snnergy.neuromorphic.simulation.recording import begin_recording
from snnergy.neuromorphic.simulation.run import Run, in_memory

_log = logging.getLogger(__name__)


def simulate(
    net: NetSource,
    x: SampleSource,
    *,
    labels: Any = None,
    backend: str | Backend = "emulator",
    scheduler: str | None = None,
    readout: str | None = None,
    record: Recording = "full",
    record_state: bool = False,
    output: Path | str | None = None,
    force: bool = False,
    memory: int | str | None = None,
    progress: Progress | None = None,
) -> Run:
    """Run samples through a network and record every node.

    Args:
        net: a network, a compiled one, or the path of a `.net` file.
        x: arrays `(N, T, *shape)` in the model's units by input name, one array for a network with one input, a pair
            of these and labels, or the path of an `.npz` or `.npy`, which is read a few samples at a time.
        labels: class of each sample, `(N,)`, instead of those in `x`.
        backend: a name in `BACKENDS`, or an object behind `Backend`.
        scheduler: address of a dask scheduler, such as `tcp://10.0.0.1:8786`, whose workers run the emulator; None for
            this machine.
        readout: the output that predictions are taken from; None for the first.
        record: `counts` keeps no spike trains, but all that the energy report needs of them; memory holds those of
            a few layers at a time.
        record_state: also record u and v of every population (of readouts they are recorded always).
        output: file to record into, batch by batch, so that memory does not grow with the number of samples; None
            keeps the run in memory.
        force: replace `output` if it exists.
        memory: bytes, or a size such as `4GiB`, that the run keeps within: its samples are simulated a few at a time.
            None for what `SNNERGY_MEMORY` says, else 1 GiB.
        progress: called with the number of samples finished since the last call.

    Raises:
        UserError: the network, the samples, the backend or `output` cannot be used, not one sample fits in `memory`, or
            states are wanted of a run that keeps counts.
        BackendFailed: the simulator died, raised or stood still.
    """
    network = as_network(net)
    samples = sample_source(x, shapes_of(network.net.inputs), labels=labels)
    runner = as_backend(backend)
    chosen = decode.readout_of(network.net.outputs, readout)
    decode.check_labels(samples.labels, network.net.population(chosen).size, chosen)
    for batch in samples.batches():
        check_range(batch, network.net.inputs)
    path = None if output is None else Path(output)
    if path is not None:
        refuse_overwrite(path, force, inputs=[Path(s) for s in (net, x) if isinstance(s, str | Path)])
    with on_cluster(runner, scheduler) as there:
        plan = planned_run(
            network.net, samples, there, record=record, record_state=record_state, output=path, memory=memory
        )
        _log.info("%s", plan)
        batches = _batches(
            network.net, samples, there, plan.at_once, progress, record=record, record_state=record_state
        )
        return _recorded(network, samples, batches, chosen, path, force, backend=there.name, recording=record)


def _recorded(
    network: Named,
    samples: Samples | SampleFile,
    batches: Iterator[Records],
    readout: str,
    path: Path | None,
    force: bool,
    **about: Any,
) -> Run:
    """The run that `batches` are, in a file or in memory."""
    with _recording(path, force) as (file, check):
        writer = begin_recording(
            file, network.net, samples=len(samples), time_steps=samples.steps, model=network.name,
            labels=samples.labels, **about,
        )  # fmt: skip
        overflows, scores = [], []
        for records in batches:
            writer.append(records)
            check()
            scores.append(decode.logits(network.net, records, readout))
            overflows.append(records.overflows)
        logits = np.concatenate(scores)
        writer.finish(logits, decode.predictions(logits), added(overflows))
        if path is None:
            return Run(activity_of(file, file, "recorded run"), readout)
    with h5py.File(path, "r") as file:
        return Run(activity_of(file, path, str(path)), readout, path)


def planned_run(
    net: QuantNet,
    samples: Samples | SampleFile,
    backend: Backend,
    *,
    record: Recording = "full",
    record_state: bool = False,
    output: Path | None = None,
    memory: int | str | None = None,
) -> Plan:
    """How `simulate` would go about it; the arguments are its own.

    Raises:
        UserError: not one sample fits in `memory`, or states are wanted of a run that keeps counts.
    """
    if record not in get_args(Recording):
        raise UserError(f"record {record!r}: is not known; there are {', '.join(get_args(Recording))}")
    if record == "counts" and record_state:
        raise UserError("record 'counts': keeps neither u nor v, which record_state asks for; leave out one of the two")
    allowed = parse_size(memory, "memory") if isinstance(memory, str) else memory
    return planned(
        net, samples, at_most=backend.samples_at_once, record=record, dropped=isinstance(backend, Emulator),
        record_state=record_state, kept=output is None, memory=allowed,
    )  # fmt: skip


@contextmanager
def _recording(path: Path | None, force: bool) -> Iterator[tuple[h5py.File, Callable[[], None]]]:
    """An empty file, in memory or on disk, and what raises if the disk failed; the latter is there once it is whole."""
    if path is None:
        yield in_memory(), lambda: None
        return
    with (
        written_whole(path, force=force) as scratch,
        LateErrors(scratch) as disk,
        h5py.File(disk, "w", **CHECKED) as file,
    ):
        yield file, disk.check


def _batches(
    net: QuantNet,
    samples: Samples | SampleFile,
    backend: Backend,
    at_once: int,
    progress: Progress | None,
    **recorded: Any,
) -> Iterator[Records]:
    ready = backend.prepared(net) if isinstance(backend, Emulator) else backend
    for index, batch in enumerate(samples.batches(at_once)):
        inputs = to_integers(batch, net.inputs)
        try:
            records = ready.run(net, inputs, progress=progress, **recorded)
        except BackendFailed as error:
            if at_once < len(samples):
                raise BackendFailed(f"of the samples from number {index * at_once} on, {error}") from error
            raise
        yield records
