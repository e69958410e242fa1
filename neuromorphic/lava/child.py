"""The child of one Lava run: `python -m neuromorphic.lava.child JOB_FOLDER`.

It builds the process graph, runs it and exits with 0; every other end leaves `failure.txt`. It never stops Lava's
processes itself: the parent ends the whole group, after success as after failure. If the parent dies, it dies too.
"""

from __future__ import annotations

import gc
import multiprocessing.shared_memory
import os
import shutil
import signal
import sys
import threading
from pathlib import Path

import numpy as np

from snnergy.neuromorphic.lava.group import end_group
from snnergy.neuromorphic.lava.job import Job, create_array
from snnergy.neuromorphic.lava.surfacing import Surfacing, surface

# Steps are in lockstep, so that a channel never holds more than the messages of two.
_CHANNEL_SLOTS = 2


def main() -> None:
    """Run the job in the folder that the command line names."""
    job = Job.load(Path(sys.argv[1]))
    with Surfacing(job.failure):
        threading.Thread(target=_follow_parent, args=(job,), daemon=True).start()
        # Segments get names of ours, so that the parent can remove this run's and no other's.
        multiprocessing.shared_memory._SHM_NAME_PREFIX = f"/{job.segments}"  # type: ignore[attr-defined]
        _simulate(job)
    os._exit(0)


def _simulate(job: Job) -> None:
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg

    from snnergy.neuromorphic.lava.graph import Graph
    from snnergy.neuromorphic.netx.files import read_netx

    create_array(job.clock, np.int64, (1,))
    graph = Graph(read_netx(job.net), job)
    # A garbage collection in a forked process would touch, and so copy, every page that it shares with this one.
    gc.collect()
    gc.freeze()
    configuration = Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map=graph.models)
    graph.player.create_runtime(run_cfg=configuration, compile_config={"pypy_channel_size": _CHANNEL_SLOTS})
    signal.signal(signal.SIGCHLD, lambda *_: _report_death(job))
    graph.player.run(condition=RunSteps(num_steps=job.schedule.lava_steps))
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _report_death(job: Job) -> None:
    """A simulation process has ended during the run, which none does on its own."""
    ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    if ended is not None:
        how = "was killed by signal" if ended.si_code != os.CLD_EXITED else "exited with status"
        surface(job.failure, f"simulation process {ended.si_pid} {how} {ended.si_status} during the run\n")


def _follow_parent(job: Job) -> None:
    """Wait until the parent closes our standard input, which only its death does, and leave nothing behind."""
    os.read(0, 1)  # not through sys.stdin, whose lock the processes that Lava forks would inherit
    group = os.getpgid(0)
    # One process outlives the group, because what the group still creates can be removed only after its end.
    if os.fork() == 0:
        os.setsid()
        end_group(group, job.segments)
        shutil.rmtree(job.root, ignore_errors=True)
        os._exit(0)


if __name__ == "__main__":
    main()
