"""The folder through which parent and child of one Lava run talk, and what lies where in it.

net.net       the network             inputs.npy    (N·T, all input values of a step) int32, mapped by the player
job.json      `Job` without its root  clock.npy     Lava steps played so far, for progress
<i>.s.npy     recorded spikes, u and v of population i, (N, T, neurons); written in place by its process
<i>.u.npy, <i>.v.npy                  failure.txt   traceback of the first exception, output.txt what was printed

The parent makes every file whose size is known and reserves its room, so that a full disk is met before Lava starts.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from snnergy.neuromorphic.ir import QuantNet, QuantPopulation
from snnergy.neuromorphic.lava.schedule import Schedule


@dataclass(frozen=True)
class Job:
    """One run. segments: prefix of the names of its shared-memory segments."""

    root: Path
    schedule: Schedule
    record_state: bool
    segments: str

    @property
    def net(self) -> Path:
        """The network, as a `.net` file."""
        return self.root / "net.net"

    @property
    def inputs(self) -> Path:
        """All input integers, a row a Lava step."""
        return self.root / "inputs.npy"

    @property
    def clock(self) -> Path:
        """One int64, the Lava steps that the player has played."""
        return self.root / "clock.npy"

    @property
    def failure(self) -> Path:
        """Why the run failed; absent while all is well."""
        return self.root / "failure.txt"

    @property
    def output(self) -> Path:
        """What the child printed."""
        return self.root / "output.txt"

    def record(self, index: int, quantity: str) -> Path:
        """The record of population number `index`: quantity s (spikes), u or v."""
        return self.root / f"{index}.{quantity}.npy"

    def quantities(self, population: QuantPopulation) -> str:
        """What is recorded of `population`: letters of `record`."""
        return ("s" if population.spiking else "") + ("uv" if self.record_state or not population.spiking else "")

    def save(self) -> None:
        """Write `job.json`."""
        plain = {k: v for k, v in dataclasses.asdict(self).items() if k != "root"}
        (self.root / "job.json").write_text(json.dumps(plain))

    @classmethod
    def load(cls, root: Path) -> Job:
        """Read `job.json` of the folder `root`."""
        plain = json.loads((root / "job.json").read_text())
        return cls(root=root, **{**plain, "schedule": Schedule(**plain["schedule"])})


def input_columns(net: QuantNet) -> dict[str, slice]:
    """Where the values of each input port stand in a row of `inputs.npy`."""
    columns, start = {}, 0
    for port in net.inputs:
        stop = start + math.prod(port.shape)
        columns[port.name] = slice(start, stop)
        start = stop
    return columns


def create_array(path: Path, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> np.memmap[Any, np.dtype[Any]]:
    """A `.npy` file of zeros, mapped for writing; its room is there, as writing where there is none kills a process."""
    array: np.memmap[Any, np.dtype[Any]]
    array = np.lib.format.open_memmap(path, "w+", dtype, shape)  # type: ignore[no-untyped-call]
    with path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array
