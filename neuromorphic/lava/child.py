"""The child of one Lava run, which `start.py` calls.

It builds the process graph, runs it and exits with 0. An exception leaves `failure.txt`; from any other end another
child may be spared. It never stops Lava's processes itself: the guard ends the whole group, after success as after
failure. If the guard dies, so do they all.
"""

from __future__ import annotations

import errno
import gc
import multiprocessing.managers
import multiprocessing.process
import multiprocessing.shared_memory
import os
import signal
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from snnergy.neuromorphic.lava.guard import die_with
from snnergy.neuromorphic.lava.job import Job
from snnergy.neuromorphic.lava.surfacing import EXIT_CODE, Surfacing, surface

# Steps are in lockstep, so that a channel never holds more than the messages of two.
_CHANNEL_SLOTS = 2
_KILLED = (os.CLD_KILLED, os.CLD_DUMPED)


def main(folder: Path) -> None:
    """Run the job in `folder`, which is the working directory."""
    job = Job.load(folder)
    with Surfacing(job.failure):
        # A process that is forked inherits no such tie: each makes its own.
        os.register_at_fork(after_in_child=partial(die_with, os.getpid()))
        _name_what_is_shared(job)
        try:
            _simulate(job)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ENOMEM):
                raise
            where = f"its files in {folder.parent} or its messages in /dev/shm"
            surface(job.failure, f"there is no room for {where} ({error}); make some, or simulate fewer samples")
    os._exit(0)


def _name_what_is_shared(job: Job) -> None:
    """Give shared memory and semaphores names of ours, so that the guard can remove this run's and no other's.

    Sockets lie in the working directory under relative names, as an absolute one may be too long for a socket.
    """
    multiprocessing.shared_memory._SHM_NAME_PREFIX = f"/{job.segments}"  # type: ignore[attr-defined]
    process: Any = multiprocessing.process.current_process()
    process._config.update(tempdir=".", semprefix=f"/{job.segments}")
    _Manager.SharedMemory = _reserved


_Manager: Any = multiprocessing.managers.SharedMemoryManager
_unreserved = _Manager.SharedMemory


def _reserved(manager: Any, size: int) -> Any:
    """A segment whose memory is there: writing to one that outgrows /dev/shm would kill the process that does."""
    segment = _unreserved(manager, size)
    os.posix_fallocate(segment._fd, 0, size)
    return segment


def _simulate(job: Job) -> None:
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg

    from snnergy.neuromorphic.lava.graph import Graph
    from snnergy.neuromorphic.netx.files import read_netx

    graph = Graph(read_netx(job.net), job)
    # A garbage collection in a forked process would touch, and so copy, every page that it shares with this one.
    gc.collect()
    gc.freeze()
    configuration = Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map=graph.models)
    # Until all have begun, Lava itself reports one that ends with an error, but waits for ever for one that is killed.
    signal.signal(signal.SIGCHLD, lambda *_: _end_at_death(_KILLED))
    graph.player.create_runtime(run_cfg=configuration, compile_config={"pypy_channel_size": _CHANNEL_SLOTS})
    signal.signal(signal.SIGCHLD, lambda *_: _end_at_death((*_KILLED, os.CLD_EXITED)))
    graph.player.run(condition=RunSteps(num_steps=job.schedule.lava_steps))
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _end_at_death(how_ended: tuple[int, ...]) -> None:
    """A simulation process has ended during the run, which none does on its own: if in one of these ways, end too."""
    ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    if ended is not None and ended.si_code in how_ended:
        how = "was killed by signal" if ended.si_code != os.CLD_EXITED else "exited with status"
        with suppress(OSError):  # a full disk
            os.write(1, f"simulation process {ended.si_pid} {how} {ended.si_status} during the run\n".encode())
        os._exit(EXIT_CODE)
