"""Tries out in a child what the process itself might not survive: a library in C, on bytes of anyone's making."""

from __future__ import annotations

import faulthandler
import os
import resource
import signal
import time
import warnings
from collections.abc import Callable
from contextlib import suppress

_CPU_S = 8  # far above what a sound file of the largest size takes
_WALL_S = 300.0  # for one that waits for what never comes, on a machine however busy
_POLL_S = 0.001, 0.05  # at first, and at most


def survived(step: Callable[[], object], memory: int) -> str:
    """Run `step` in a fork of this process, and say what became of that; empty where it came to an end.

    What it raises is not told apart: here it can be done again.

    Args:
        memory: bytes that it may allocate beyond what this process has.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other threads of this process, none of which the child needs
        child = os.fork()
    if child == 0:
        _run(step, memory)
    try:
        status = _waited(child)
    except BaseException:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    if not os.WIFSIGNALED(status):
        return ""
    number = os.WTERMSIG(status)
    if number in (signal.SIGXCPU, signal.SIGKILL):
        return "it does not come to an end"
    return signal.strsignal(number) or f"signal {number}"


def _run(step: Callable[[], object], memory: int) -> None:
    """The child: nothing of it may reach the files, the terminal or the clean-up of its parent."""
    try:
        faulthandler.disable()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGXCPU):
            signal.signal(number, signal.SIG_DFL)
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        spent = time.process_time()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (int(spent) + _CPU_S, int(spent) + _CPU_S + 1))
        with suppress(OSError, ValueError):  # a system without /proc, or one that has a lower limit already
            with open("/proc/self/statm") as file:
                pages = int(file.read().split()[0])
            resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + memory,) * 2)
        step()
    finally:
        os._exit(0)


def _waited(child: int) -> int:
    """Its exit status, when it has ended or had to be."""
    pause, deadline = _POLL_S[0], time.monotonic() + _WALL_S
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
        time.sleep(pause)
        pause = min(2 * pause, _POLL_S[1])
