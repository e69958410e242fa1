"""Simulators behind one protocol, and the registry of their names.

A backend is an object with a name that turns a network and integers into records. One of your own runs wherever ours do
(`simulate(net, x, backend=Mine())`), and under its name once it is in `BACKENDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

from snnergy.artefacts.errors import UserError

if TYPE_CHECKING:  # so that a command line can list the names at once
    from snnergy.artefacts.records import Records
    from snnergy.artefacts.types import IntArray
    from snnergy.neuromorphic.emulator.run import Engine
    from snnergy.neuromorphic.ir import QuantNet

Progress = Callable[[int], None]


class Backend(Protocol):
    """A simulator."""

    @property
    def name(self) -> str:
        """What activity files call it."""
        ...

    @property
    def samples_at_once(self) -> int:
        """How many are handed to one `run`, unless the network keeps its state."""
        ...

    def run(
        self,
        net: QuantNet,
        inputs: Mapping[str, IntArray],
        *,
        record_state: bool = False,
        progress: Progress | None = None,
    ) -> Records:
        """Simulate `net` on integers `(N, T, *shape)` by input.

        Args:
            record_state: also keep u and v of every population (of readouts they are kept always).
            progress: called with the number of samples finished since the last call.
        """
        ...


@dataclass(frozen=True)
class Emulator:
    """The bit-exact emulator: everywhere, fast.

    engine: what computes, with the same results; None for the fastest that is there.
    device: one of torch's that computes, such as `cuda`; None for the processor.
    jobs: threads that share the samples; None for as many as torch has.
    """

    engine: Engine | None = None
    device: str | None = None
    jobs: int | None = None
    name: ClassVar[str] = "emulator"
    samples_at_once: ClassVar[int] = 64

    def run(
        self,
        net: QuantNet,
        inputs: Mapping[str, IntArray],
        *,
        record_state: bool = False,
        progress: Progress | None = None,
    ) -> Records:
        """See `Backend.run`."""
        from snnergy.neuromorphic import emulator

        return emulator.run(
            net, dict(inputs), record_state=record_state, engine=self.engine, device=self.device, jobs=self.jobs,
            progress=progress,
        )  # fmt: skip


@dataclass(frozen=True)
class Lava:
    """Intel's simulator, the reference; Python 3.10 only. timeout_s: as `lava.run` takes it."""

    timeout_s: float | None = None
    name: ClassVar[str] = "lava"
    samples_at_once: ClassVar[int] = 256  # starting Lava's processes takes as long as many samples

    def run(
        self,
        net: QuantNet,
        inputs: Mapping[str, IntArray],
        *,
        record_state: bool = False,
        progress: Progress | None = None,
    ) -> Records:
        """See `Backend.run`."""
        from snnergy.neuromorphic import lava

        return lava.run(net, dict(inputs), record_state=record_state, timeout_s=self.timeout_s, progress=progress)


BackendName = Literal["emulator", "lava"]  # what the command line offers
BACKENDS: dict[str, Callable[[], Backend]] = {"emulator": Emulator, "lava": Lava}


def as_backend(backend: str | Backend) -> Backend:
    """The backend of that name, or the one given.

    Raises:
        UserError: no backend has that name.
    """
    if not isinstance(backend, str):
        return backend
    if backend not in BACKENDS:
        raise UserError(f"backend {backend!r}: is not known; there are {', '.join(BACKENDS)}")
    return BACKENDS[backend]()
