"""Stock models of Lava, unchanged in their arithmetic, that record into files and surface their exceptions.

They implement stock Processes and are chosen for them by the run configuration.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.proc.lif.models import PyLifResetModelBitAcc
from lava.proc.sparse.models import PySparseModelBitAcc

from snnergy.neuromorphic.lava.surfacing import Surfacing


class RecordingLif(PyLifResetModelBitAcc):  # type: ignore[misc]
    """LIFReset that writes what it did in each logical step of each sample.

    Process parameters besides LIFReset's: depth and steps (see `schedule.py`), records (quantity s, u or v to the file
    of an array `(N, T, neurons)`), failure (see `Surfacing`).
    """

    def __init__(self, proc_params: Any) -> None:
        """Map the record files."""
        super().__init__(proc_params)
        self.depth: int = proc_params["depth"]
        self.steps: int = proc_params["steps"]
        self.failure: str = proc_params["failure"]
        self.records = {q: np.load(path, mmap_mode="r+") for q, path in proc_params["records"].items()}

    def run_spk(self) -> None:
        """One step of the stock model."""
        with Surfacing(self.failure):
            super().run_spk()

    def reset_voltage(self, spike_vector: Any) -> None:
        """The stock reset, after which u, v and the spikes are this step's."""
        super().reset_voltage(spike_vector)
        self.record(spike_vector)

    def record(self, spike_vector: Any) -> None:
        """Write the finished step where it belongs."""
        sample, step = divmod(self.time_step - 1 - self.depth, self.steps)
        for quantity, record in self.records.items():
            if 0 <= sample < len(record):
                record[sample, step] = spike_vector if quantity == "s" else getattr(self, quantity)


class SurfacingSparse(PySparseModelBitAcc):  # type: ignore[misc]
    """Sparse synapses. Process parameter besides Sparse's: failure (see `Surfacing`)."""

    def run_spk(self) -> None:
        """One step of the stock model."""
        with Surfacing(self.proc_params["failure"]):
            super().run_spk()
