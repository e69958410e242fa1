"""One simulated run: every node's spikes, what the network made of the samples, and a file if one is wanted."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import h5py
import numpy as np

from snnergy.artefacts import display
from snnergy.artefacts.activity import Activity
from snnergy.artefacts.files import written_whole
from snnergy.artefacts.hdf5 import CHECKED
from snnergy.artefacts.types import FloatArray, IntArray

if TYPE_CHECKING:
    import pandas


class Recordings(Mapping[str, IntArray]):
    """One quantity of every node that has it, by name, `(N, T, *shape)`; each look reads it anew."""

    def __init__(self, activity: Activity, quantity: str) -> None:
        self._activity, self._quantity = activity, quantity

    def __getitem__(self, name: str) -> IntArray:
        return self._activity.values(name, self._quantity)

    def __iter__(self) -> Iterator[str]:
        with self._activity.open() as file:
            names = [node.name for node in self._activity.nodes if self._quantity in file["nodes"][node.name]]
        return iter(names)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<{self._quantity} of {len(self)} nodes, {self._activity.samples} samples>"


@dataclass(frozen=True, eq=False)
class Run:
    """What `simulate` returns.

    activity: everything recorded, as the energy report reads it. readout: the output that predictions are taken from.
    path: of the file, None where the run is in memory.
    """

    activity: Activity
    readout: str
    path: Path | None = None

    @property
    def spikes(self) -> Recordings:
        """Spikes of each population and integers of each input, by name."""
        return Recordings(self.activity, "values")

    @property
    def u(self) -> Recordings:
        """Currents, of readouts always, of all populations with `record_state`."""
        return Recordings(self.activity, "u")

    @property
    def v(self) -> Recordings:
        """Membranes, recorded as `u`."""
        return Recordings(self.activity, "v")

    @property
    def logits(self) -> FloatArray:
        """`(N, classes)`: the readout's membrane after the last step in model units, or its number of spikes."""
        with self.activity.open() as file:
            return np.asarray(file["logits"])

    @property
    def predictions(self) -> IntArray:
        """Class of each sample, `(N,)`."""
        return np.asarray(self.activity.predictions)

    @property
    def labels(self) -> IntArray | None:
        """True class of each sample, `(N,)`, None where it was not given."""
        return np.asarray(self.activity.labels) if self.activity.labels else None

    @property
    def overflows(self) -> dict[str, tuple[int, int]]:
        """Of each population that met them, how often u wrapped around and v was clipped."""
        nodes = self.activity.nodes
        return {node.name: (node.wrapped, node.clipped) for node in nodes if node.wrapped or node.clipped}

    @property
    def warnings(self) -> tuple[str, ...]:
        """What must be known of the results: of the network as it was compiled, and of this run."""
        return self.activity.warnings

    @property
    def accuracy(self) -> float | None:
        """Fraction of the samples predicted correctly, None without labels."""
        return self.activity.accuracy

    def save(self, path: Path | str, *, force: bool = False) -> Path:
        """Write `activity.h5`, for `energy` and for later.

        Raises:
            UserError: `path` exists and `force` is false, or it cannot be written.
        """
        path = Path(path)
        with written_whole(path, force=force, inputs=[] if self.path is None else [self.path]) as scratch:
            if self.path is not None:
                shutil.copyfile(self.path, scratch)
            else:
                with self.activity.open() as file:
                    file.flush()
                    scratch.write_bytes(file.id.get_file_image())
        return path

    def rows(self) -> list[dict[str, Any]]:
        """A row for each node: where it stands, its spikes in all, and its rate a neuron and step."""
        found = []
        for node in self.activity.nodes:
            sends = node.kind != "readout"
            spikes = self.activity.spikes(node) if sends else 0
            places = node.size * self.activity.samples * self.activity.time_steps
            rate = spikes / places if sends else None
            shape = "×".join(map(str, node.shape))
            found.append({"node": node.name, "kind": node.kind, "shape": shape, "spikes": spikes, "rate": rate})
        return found

    def to_dataframe(self) -> pandas.DataFrame:
        """`rows`, indexed by node; needs pandas."""
        return display.data_frame(self.rows(), "node")

    def __repr__(self) -> str:
        run = self.activity
        place = "in memory" if self.path is None else str(self.path)
        return (
            f"Run({display.printable(run.model)} on {display.printable(run.backend)}: {run.samples} samples of "
            f"{run.time_steps} steps, {len(run.nodes)} nodes, accuracy {display.percent(self.accuracy)}, {place})"
        )

    def _repr_html_(self) -> str:
        return display.html(repr(self), self.rows())


def in_memory() -> h5py.File:
    """An HDF5 file that lies in memory and goes with the last reference to it."""
    return h5py.File(
        f"run-{uuid4().hex}", "w", driver="core", backing_store=False, **CHECKED
    )  # two of one name cannot be open
