"""Plays the rows of an integer array, one a time step, as graded spikes."""

from __future__ import annotations

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from snnergy.neuromorphic.lava.surfacing import Surfacing


class Player(AbstractProcess):  # type: ignore[misc]
    """Sends row t - 1 of the int32 array in the file `frames` at time step t, then zeros.

    width: length of a row. clock: file of one int64, set to the time step. failure: see `Surfacing`.
    """

    def __init__(self, *, frames: str, width: int, clock: str, failure: str) -> None:
        """Play `frames`."""
        super().__init__(frames=frames, clock=clock, failure=failure)
        self.s_out = OutPort(shape=(width,))


@implements(proc=Player, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PlayerModel(PyLoihiProcessModel):  # type: ignore[misc]
    """Maps the file, so that a long stream costs no memory."""

    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)

    def __init__(self, proc_params: dict[str, str]) -> None:
        """Map the files."""
        super().__init__(proc_params)
        self.frames = np.load(proc_params["frames"], mmap_mode="r")
        self.clock = np.load(proc_params["clock"], mmap_mode="r+")
        self.failure = proc_params["failure"]

    def run_spk(self) -> None:
        """Send one row."""
        with Surfacing(self.failure):
            row = self.time_step - 1
            frame = self.frames[row] if row < len(self.frames) else np.zeros_like(self.frames[0])
            self.s_out.send(frame)
            self.clock[0] = self.time_step
