"""Neurons beyond Lava's own: decays of each neuron, reset by subtraction or late, several spikes as one graded spike.

    u, v as stock LIFReset computes them
    where v > (vth << 6):  n = 1, or v div (vth << 6) for several spikes;  s_out = n;
                           v = 0, or v - n * (vth << 6) for a soft reset

A late reset does so in the next step, to the v that stock LIFReset computes then, and clips that.

`emulator/on_torch/fixed_point.py` is the same in the emulator. Loihi 2 can program such a neuron, Loihi 1 has none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.variable import Var
from lava.proc.lif.process import LIFReset

from snnergy.artefacts.types import IntArray
from snnergy.neuromorphic.ir import Reset, Spikes, is_late, subtracts
from snnergy.neuromorphic.lava.processes.stock import RecordingLif


class ProgrammedLif(LIFReset):  # type: ignore[misc]
    """LIFReset whose `du` and `dv` are one a neuron. reset, spikes: as in `QuantPopulation`."""

    def __init__(self, *, du: IntArray, dv: IntArray, reset: Reset, spikes: Spikes, **stock: Any) -> None:
        """`stock`: every other argument of LIFReset's."""
        super().__init__(du=0, dv=0, **stock)
        self.du, self.dv = Var(shape=du.shape, init=du), Var(shape=dv.shape, init=dv)
        self.proc_params["reset"], self.proc_params["spikes"] = reset, spikes


class ProgrammedLifModel(RecordingLif):
    """The stock model's charging, a spike and reset of our own; the run configuration chooses it for its Process."""

    du: np.ndarray[Any, Any] = LavaPyType(np.ndarray, np.int32, precision=12)
    dv: np.ndarray[Any, Any] = LavaPyType(np.ndarray, np.int32, precision=12)

    def __init__(self, proc_params: Any) -> None:
        """Take the two choices over."""
        super().__init__(proc_params)
        self.soft: bool = subtracts(proc_params["reset"])
        self.late: bool = is_late(proc_params["reset"])
        self.many: bool = proc_params["spikes"] == "many"

    def subthr_dynamics(self, activation_in: Any) -> None:
        """The stock charging; then what the spikes of the step before do late."""
        due = self.spiking_activation() if self.late else np.zeros(0)
        super().subthr_dynamics(activation_in)
        if self.late:
            self._reset(due)
            self.v[:] = np.clip(self.v, 1 - self.max_uv_val, self.max_uv_val - 1)

    def spiking_activation(self) -> Any:
        """Number of spikes of each neuron."""
        fired = super().spiking_activation()
        return np.where(fired, self.v // self.effective_vth, 0) if self.many else fired

    def reset_voltage(self, spike_vector: Any) -> None:
        """What the spikes do at once; then record."""
        if not self.late:
            self._reset(spike_vector)
        self.record(spike_vector)

    def _reset(self, spikes: Any) -> None:
        """Take off what the spikes stand for, or clear the membranes that fired."""
        if self.soft:
            self.v[:] -= (spikes * self.effective_vth).astype(np.int32)
        else:
            self.v[spikes > 0] = 0
