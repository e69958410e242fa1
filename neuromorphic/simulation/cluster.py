"""The emulator on the workers of a dask cluster: the same records, from wherever there are cores.

The network travels once to each worker and is prepared there once; a batch is a task with its own input, so that the
scheduler hands the tasks of a worker that dies to the others. joblib's backend for dask does not do here: it keeps the
input of a task on one worker, and loses it with that worker.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from snnergy.artefacts.errors import BackendFailed, SnnergyError, UserError
from snnergy.artefacts.extras import require
from snnergy.artefacts.records import Records, joined
from snnergy.artefacts.release import __version__
from snnergy.artefacts.types import IntArray, Recording
from snnergy.neuromorphic import emulator
from snnergy.neuromorphic.emulator.run import BATCH, Engine, Simulator, prepared
from snnergy.neuromorphic.ir import QuantNet
from snnergy.neuromorphic.simulation.backends import Backend, Emulator, Progress

if TYPE_CHECKING:
    from distributed import Client, Future

_CONNECT_S = 5  # to reach the scheduler, and until it has a worker
_POLL_S = 5
_TIMEOUTS = (TimeoutError, asyncio.TimeoutError)  # one since Python 3.11
_ALONE_S = 60  # without a worker, after which a run is given up
_TASKS_A_THREAD = 4  # handed out together, so that no worker waits for the slowest


@contextmanager
def on_cluster(backend: Backend, scheduler: str | None) -> Iterator[Backend]:
    """The emulator as it runs on the workers of a cluster; the backend itself where `scheduler` is None.

    Args:
        scheduler: address of dask's scheduler, such as `tcp://10.0.0.1:8786`.

    Raises:
        UserError: the backend is another, dask is not installed, or the scheduler cannot be reached or has no worker.
    """
    if scheduler is None:
        yield backend
        return
    if not isinstance(backend, Emulator):
        raise UserError(f"backend {backend.name!r}: does not run on a cluster; leave out scheduler, or the backend")
    require("a scheduler", "dask", "distributed")
    from distributed import Client

    try:
        client = Client(scheduler, timeout=_CONNECT_S, set_as_default=False)
    except Exception as error:  # what an address can be wrong in, and what sockets raise, has no common class
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UserError(f"scheduler {scheduler!r}: cannot be reached ({reason}); give the address it prints") from error
    with client:
        try:
            client.wait_for_workers(1, timeout=_CONNECT_S)
        except _TIMEOUTS as error:
            raise UserError(
                f"scheduler {scheduler!r}: has no workers; start some with `dask worker {scheduler}`"
            ) from error
        yield Cluster(
            engine=backend.engine, device=backend.device, client=client, threads=sum(client.nthreads().values())
        )


@dataclass(frozen=True)
class Cluster(Emulator):
    """The emulator on a cluster. threads: of all its workers when it was reached."""

    client: Client = field(kw_only=True)
    threads: int = 1
    _sent: dict[str, tuple[QuantNet, Future]] = field(default_factory=dict, repr=False)

    def prepared(self, net: QuantNet) -> Cluster:
        """Itself: workers get ready when their first batch comes."""
        return self

    @property
    def samples_at_once(self) -> int:  # type: ignore[override]
        """So many that every thread has some batches."""
        return BATCH * _TASKS_A_THREAD * self.threads

    def run(
        self,
        net: QuantNet,
        inputs: Mapping[str, IntArray],
        *,
        record_state: bool = False,
        record: Recording = "full",
        progress: Progress | None = None,
    ) -> Records:
        """See `Backend.run`.

        Raises:
            BackendFailed: the cluster was lost, all its workers stayed away, or one task killed several.
        """
        count = len(next(iter(inputs.values())))
        together = min(BATCH, -(-count // self.threads)) if net.reset else count
        few = [
            {name: array[first : first + together] for name, array in inputs.items()}
            for first in range(0, count, together)
        ]
        token, there = self._network(net)
        how, options = (self.engine, self.device), {"record_state": record_state, "record": record}
        with warnings.catch_warnings():
            # Tasks hold their input on purpose: what the scheduler has, no worker can lose.
            warnings.filterwarnings("ignore", "Sending large graph")
            tasks = [self.client.submit(_simulated, token, there, how, _narrow(x), options, pure=False) for x in few]
        parts = []
        for x, task in zip(few, tasks, strict=True):
            part: Records = self._result(task)
            parts.append(replace(part, values={**x, **part.values}))
            if progress is not None:
                progress(len(parts[-1]))
        return joined(parts)

    def _network(self, net: QuantNet) -> tuple[str, Future]:
        """The network on the workers, sent when it is first asked for, and what they know it by."""
        for token, (known, there) in self._sent.items():
            if known is net:
                return token, there
        token = uuid4().hex
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sending large graph")
            # A task, not scattered data: with its last holder it would be lost.
            there = self.client.submit(_received, net, __version__, pure=False)
        self._sent[token] = net, there
        return token, there

    def _result(self, task: Future) -> Any:
        from distributed import CancelledError

        alone_s = 0
        while alone_s < _ALONE_S:
            try:
                return task.result(timeout=_POLL_S)
            except SnnergyError:
                raise
            except (Exception, CancelledError) as error:
                if task.status in ("error", "cancelled", "lost") or not isinstance(error, _TIMEOUTS):
                    reason = str(error).partition("\n")[0] or type(error).__name__
                    raise BackendFailed(f"the cluster lost a batch: {reason}") from error
            alone_s = 0 if self.client.nthreads() else alone_s + _POLL_S
        raise BackendFailed(f"the cluster has had no worker for {alone_s} seconds")


def _narrow(inputs: Mapping[str, IntArray]) -> dict[str, IntArray]:
    """In the fewest bits that hold every value."""
    found = {}
    for name, array in inputs.items():
        kind = np.result_type(np.min_scalar_type(int(array.min())), np.min_scalar_type(int(array.max())))
        found[name] = array.astype(kind)
    return found


# What follows runs on a worker.

_ready: dict[str, Simulator] = {}


def _received(net: QuantNet, release: str) -> QuantNet:
    if release != __version__:
        raise UserError(f"scheduler: a worker has release {__version__} of this package, not {release}; install it")
    return net


def _simulated(
    token: str,
    net: QuantNet,
    how: tuple[Engine | None, str | None],
    inputs: dict[str, IntArray],
    options: Mapping[str, Any],
) -> Records:
    """Records of a batch, without the input, which the sender has. how: engine and device."""
    simulator = _ready.get(token)
    if simulator is None:  # threads of a worker may get ready side by side
        simulator = prepared(net, *how)
        _ready.clear()
        _ready[token] = simulator
    whole: dict[str, IntArray] = {name: array.astype(np.int32) for name, array in inputs.items()}
    records = emulator.run(net, whole, jobs=1, simulator=simulator, **options)
    return replace(records, values={name: array for name, array in records.values.items() if name not in whole})
