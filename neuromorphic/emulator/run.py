"""Runs an integer network in logical time: on compiled kernels, or on torch where numba is not to be had."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from typing import Literal

import torch

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.records import Gathered, Records
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
    device: str | None = None,
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
        device: one of torch's that computes, such as `cuda`, in place of the processor.
        simulator: what `prepared` made of `net`, where several runs share it.
        jobs: threads that share the samples; None for as many as torch has.
        progress: called with the number of samples finished since the last call.

    Raises:
        UserError: an input is missing, has another shape or exceeds its port's payload, or there is no such device, or
            not for this engine.
    """
    check_integers(net, inputs)
    samples = next(iter(inputs.values())).shape[0]
    stream, progress = folded(net, inputs), unfolded_progress(net, progress, samples)
    simulated = simulator or prepared(net, engine, device)
    count = next(iter(stream.values())).shape[0]
    threads = min(jobs or torch.get_num_threads(), count)
    together = min(BATCH, -(-count // threads))
    if device is not None:  # which shares the samples itself
        threads, together = 1, count
    gathered = Gathered(count)

    def handle(first: int) -> int:
        batch = {name: array[first : first + together] for name, array in stream.items()}
        return gathered.put(first, simulated(batch, record_state=record_state, record=record))

    with _one_thread_each(threads), ThreadPoolExecutor(threads) as pool:
        for finished in pool.map(handle, range(0, count, together)):
            if progress is not None:
                progress(finished)
    return unfolded(net, gathered.whole(), samples)


def prepared(net: QuantNet, engine: Engine | None = None, device: str | None = None) -> Simulator:
    """A network ready for runs, its synapses packed; `engine` and `device` as `run` takes them."""
    if device is not None:
        if engine == "kernels":
            raise UserError(f"device {device!r}: kernels compute on the processor; leave out the device or the engine")
        require_usable(device)
    if device is not None or (engine or engine_here()) == "torch":
        return partial(_on_torch, net, device or "cpu")
    from snnergy.neuromorphic.emulator.kernels import compiled, neurons
    from snnergy.neuromorphic.emulator.layerwise import Emulation

    compiled.announce(neurons.scan)
    return Emulation(net).run


def _on_torch(
    net: QuantNet, device: str, inputs: dict[str, IntArray], *, record_state: bool, record: Recording
) -> Records:
    try:
        records = on_torch.run(net, inputs, record_state=record_state, device=device)
    except torch.cuda.OutOfMemoryError as error:
        together = len(next(iter(inputs.values())))
        raise UserError(
            f"device {device!r}: has not enough memory for {together} samples at once; allow less memory than now "
            "(--memory), and fewer are taken together"
        ) from error
    return records if record == "full" else counted(net, records)


def require_usable(device: str) -> None:
    """Raise a UserError unless torch can compute on `device` in 64-bit floating point."""
    try:
        torch.ones(1, dtype=torch.float64, device=device).sum().item()
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(
            f"device {device!r}: torch {torch.__version__} cannot compute in 64 bits there ({reason}); name "
            "another, such as cuda, or none for the processor"
        ) from error


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
