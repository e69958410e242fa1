"""Runs an integer network in logical time: on compiled kernels, or on torch where numba is not to be had."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from typing import Literal

import torch
from joblib import Parallel, delayed

from snnergy.artefacts.records import Records, joined
from snnergy.artefacts.types import IntArray, Recording
from snnergy.neuromorphic.continuous import folded, unfolded, unfolded_progress
from snnergy.neuromorphic.counting import counted
from snnergy.neuromorphic.emulator import on_torch
from snnergy.neuromorphic.inputs import check_integers
from snnergy.neuromorphic.ir import QuantNet

Engine = Literal["kernels", "torch"]
Simulator = Callable[..., Records]
# Samples simulated together: enough to fill the kernels, few enough that progress is seen.
BATCH = 16


def engine_here() -> Engine:
    """The faster one of those that can run on this machine."""
    return "kernels" if find_spec("numba") else "torch"


def run(
    net: QuantNet,
    inputs: dict[str, IntArray],
    *,
    record_state: bool = False,
    record: Recording = "full",
    engine: Engine | None = None,
    simulator: Simulator | None = None,
    jobs: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Records:
    """Simulate `net`.

    Args:
        inputs: integers of each input port, `(N, T, *shape)`; one stream where the network keeps its state.
        record_state: also keep u and v of every population (of readouts they are kept always).
        record: counts in place of the spikes of populations that are no output; they are dropped layer by layer.
        engine: what computes; all are equal bit for bit. None for the fastest that is there.
        simulator: what `prepared` made of `net`, where several runs share it.
        jobs: threads that share the samples; None for as many as torch has.
        progress: called with the number of samples finished since the last call.

    Raises:
        UserError: an input is missing, has another shape or exceeds its port's payload.
    """
    check_integers(net, inputs)
    samples = next(iter(inputs.values())).shape[0]
    stream, progress = folded(net, inputs), unfolded_progress(net, progress, samples)
    simulated = simulator or prepared(net, engine)
    count = next(iter(stream.values())).shape[0]
    threads = min(jobs or torch.get_num_threads(), count)
    together = min(BATCH, -(-count // threads))
    batches = [
        {name: array[first : first + together] for name, array in stream.items()} for first in range(0, count, together)
    ]
    parts = []
    with _one_thread_each(threads):
        shared = Parallel(threads, prefer="threads", return_as="generator")
        for part in shared(delayed(simulated)(batch, record_state=record_state, record=record) for batch in batches):
            parts.append(part)
            if progress is not None:
                progress(len(part))
    return unfolded(net, joined(parts), samples)


def prepared(net: QuantNet, engine: Engine | None = None) -> Simulator:
    """A network ready for runs, its synapses packed; `engine` as `run` takes it."""
    if (engine or engine_here()) == "torch":
        return partial(_on_torch, net)
    from snnergy.neuromorphic.emulator.kernels import compiled, neurons
    from snnergy.neuromorphic.emulator.layerwise import Emulation

    compiled.announce(neurons.scan)
    return Emulation(net).run


def _on_torch(net: QuantNet, inputs: dict[str, IntArray], *, record_state: bool, record: Recording) -> Records:
    records = on_torch.run(net, inputs, record_state=record_state)
    return records if record == "full" else counted(net, records)


@contextmanager
def _one_thread_each(threads: int) -> Iterator[None]:
    """Keep torch from starting threads of its own beside several of ours."""
    before = torch.get_num_threads()
    if threads > 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if threads > 1:
            torch.set_num_threads(before)
