"""Delays a stream of spikes by whole time steps.

    out[t] = concatenation over the taps of  in[t - tap.steps] ,

where a value is dropped if its logical arrival, step + tap.logical of its sample, lies beyond the sample's end, as
samples are independent, or if it left its source before the first sample began.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from snnergy.neuromorphic.lava.surfacing import Surfacing
from snnergy.neuromorphic.lava.synapses import Tap


class SpikeDelay(AbstractProcess):  # type: ignore[misc]
    """A delay line with one or more taps.

    width: values a step. taps: the delayed copies, in the order in which they are sent. depth: pipeline depth of the
    source. steps: time steps of a sample. failure: see `Surfacing`.
    """

    def __init__(self, *, width: int, taps: tuple[Tap, ...], depth: int, steps: int, failure: str) -> None:
        """Delay a source of `width` values."""
        super().__init__(width=width, taps=taps, depth=depth, steps=steps, failure=failure)
        self.s_in = InPort(shape=(width,))
        self.s_out = OutPort(shape=(width * len(taps),))


@implements(proc=SpikeDelay, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class SpikeDelayModel(PyLoihiProcessModel):  # type: ignore[misc]
    """A ring of the last inputs; what it receives it may send in the same step, so a tap of 0 costs none."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)

    def __init__(self, proc_params: Any) -> None:
        """Start with an empty ring."""
        super().__init__(proc_params)
        self.taps: tuple[Tap, ...] = proc_params["taps"]
        self.depth: int = proc_params["depth"]
        self.steps: int = proc_params["steps"]
        self.failure: str = proc_params["failure"]
        self.width: int = proc_params["width"]
        self.ring = np.zeros((1 + max(tap.steps for tap in self.taps), self.width), np.int32)
        self.sent = np.zeros((len(self.taps), self.width), np.int32)

    def run_spk(self) -> None:
        """Take one step in and send every tap."""
        with Surfacing(self.failure):
            self.ring[self.time_step % len(self.ring)] = self.s_in.recv()
            for tap, row in zip(self.taps, self.sent, strict=True):
                left = self.time_step - tap.steps - 1 - self.depth  # logical step since the run began
                arrives = left >= 0 and left % self.steps + tap.logical < self.steps
                row[:] = self.ring[(self.time_step - tap.steps) % len(self.ring)] if arrives else 0
            self.s_out.send(self.sent.reshape(-1))
