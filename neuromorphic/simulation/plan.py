"""How many samples are simulated at once, chosen so that a run keeps within its memory."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from snnergy.artefacts import budget
from snnergy.artefacts.errors import UserError
from snnergy.artefacts.sample_file import SampleFile
from snnergy.artefacts.samples import Samples
from snnergy.artefacts.types import Recording
from snnergy.neuromorphic.cost import recorded_bytes
from snnergy.neuromorphic.emulator import needed
from snnergy.neuromorphic.ir import QuantNet


@dataclass(frozen=True)
class Plan:
    """samples: all of them. at_once: those that a backend is handed together. memory_bytes: at the peak."""

    samples: int
    at_once: int
    memory_bytes: int

    def __str__(self) -> str:
        return (
            f"simulating {self.samples} samples: about {budget.size_text(self.memory_bytes)} of memory, "
            f"{self.at_once} at a time"
        )


def planned(
    net: QuantNet,
    samples: Samples | SampleFile,
    *,
    at_most: int,
    record: Recording = "full",
    dropped: bool = True,
    record_state: bool = False,
    kept: bool = False,
    memory: int | None = None,
) -> Plan:
    """The largest batches that fit.

    Args:
        at_most: samples that the backend takes at once. A network that keeps its state takes them all.
        dropped: where counts are recorded, the backend itself drops spikes, layer by layer.
        kept: everything recorded stays in memory.
        memory: bytes for the samples and everything made of them; None for the budget of `SNNERGY_MEMORY`.

    Raises:
        UserError: not even the smallest batch fits.
    """
    allowed = budget.memory() if memory is None else memory
    count, steps = len(samples), samples.steps
    outputs = sum(net.population(name).size for name in net.outputs)
    always = 16 * count * outputs
    if kept:
        always += count * steps * recorded_bytes(net, record_state=record_state, record=record)
    at_work: Recording = record if dropped else "full"

    def total(at_once: int) -> int:
        return always + samples.held(at_once) + needed(net, at_once, steps, record_state=record_state, record=at_work)

    smallest, largest = (1, max(1, min(at_most, count))) if net.reset else (count, count)
    at_once = smallest - 1 + bisect_right(range(smallest, largest + 1), allowed, key=total)
    if at_once < smallest:
        raise UserError(_too_much(net, samples, total(smallest), allowed, kept))
    return Plan(count, at_once, total(at_once))


def _too_much(net: QuantNet, samples: Samples | SampleFile, wanted: int, allowed: int, kept: bool) -> str:
    count, steps = len(samples), samples.steps
    what = f"one of {count} samples of {steps} steps" if net.reset else (
        f"{count} samples of {steps} steps, one stream because the network keeps its state,"
    )  # fmt: skip
    advice = "write to a file with `output`, " if kept else ""
    return (
        f"simulating {what} takes {budget.size_text(wanted)} of memory with the samples themselves, "
        f"{budget.size_text(allowed)} are allowed; {advice}give fewer samples or steps, or allow "
        f"{budget.size_text(wanted, up=True)} with `memory`"
    )
