"""Writes activity.h5, batch by batch, so that memory does not grow with the number of samples."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import h5py
import numpy as np

from snnergy.artefacts.activity import Activity, Edge, Node, impossible_counts
from snnergy.artefacts.activity_file import VERSION, refuse_many
from snnergy.artefacts.errors import UserError
from snnergy.artefacts.kinds import ACTIVITY_FORMAT
from snnergy.artefacts.records import Records
from snnergy.artefacts.sent_counts import SentCounts, fan_of, is_static, sent_counts
from snnergy.artefacts.types import FloatArray, IntArray, Shape

# Spike trains are mostly zeros: the fastest setting already removes nearly all of their size. Each chunk has a
# checksum: what a disk or a copy changes is an error when it is read, and no other result.
_STORAGE: dict[str, Any] = {"compression": "gzip", "compression_opts": 1, "shuffle": True, "fletcher32": True}
_CHUNK_VALUES = 1 << 16


class ActivityWriter:
    """Fills an open HDF5 file: what is known before the run, then batch by batch, then the outcome.

    Args:
        file: empty and open for writing.
        head: everything but the arrays; labels are stored if there are any, its own `file` is not used.
        fan_out: for each edge, synapses that every source neuron reaches, all and those of a weight other than zero.

    Raises:
        UserError: so many samples and steps that nobody could read their counts again.
    """

    def __init__(self, file: h5py.File, head: Activity, fan_out: Sequence[tuple[IntArray, IntArray]]) -> None:
        self._file, self._head = file, head
        self._written = 0
        refuse_many(head.model, head.samples, head.time_steps)
        self._static = {node.name: True for node in head.nodes if node.kind == "input"}
        file.attrs.update(
            format=ACTIVITY_FORMAT, version=VERSION, time_steps=head.time_steps, samples=head.samples,
            backend=head.backend, model=head.model, provenance=json.dumps(dict(head.provenance)),
            recording=head.recording,
        )  # fmt: skip
        if head.labels:
            _store(file, "label", np.asarray(head.labels, np.int64))
        nodes, edges = file.create_group("nodes"), file.create_group("edges")
        for node in head.nodes:
            nodes.create_group(node.name).attrs.update(_node_attributes(node))
        for edge, (taps, nonzero) in zip(head.edges, fan_out, strict=True):
            group = edges.create_group(str(edge.index))
            group.attrs.update(_edge_attributes(edge))
            _store(group, "fan_out", taps)
            _store(group, "fan_out_nonzero", nonzero)

    def append(self, records: Records) -> None:
        """Store the next samples.

        Raises:
            UserError: where counts are recorded, values that the class of their node rules out.
        """
        if self._head.recording == "counts":
            self._append_counts(records)
        else:
            for quantity, arrays in (("values", records.values), ("u", records.u), ("v", records.v)):
                for name, array in arrays.items():
                    self._append(self._file["nodes"][name], quantity, array, rows=1)
        counted = (("delivered", records.delivered), ("delivered_nonzero", records.delivered_nonzero))
        for quantity, counts in counted:
            for index, array in enumerate(counts):
                self._append(self._file["edges"][str(index)], quantity, array)
        self._written += len(records)

    def finish(
        self, logits: FloatArray, predictions: IntArray, overflows: Mapping[str, tuple[int, int]] | None = None
    ) -> None:
        """Store what the network made of the samples, `(samples, classes)` and `(samples,)`; where u and v left their
        range.
        """
        assert self._written == self._head.samples, (self._written, self._head.samples)
        if self._head.recording == "counts":
            for name, static in self._static.items():
                self._file["nodes"][name].attrs["static"] = static
        for name, (wrapped, clipped) in (overflows or {}).items():
            self._file["nodes"][name].attrs.update(wrapped=wrapped, clipped=clipped)
        _store(self._file, "logits", logits)
        _store(self._file, "prediction", predictions)

    def _append_counts(self, records: Records) -> None:
        for node in self._head.nodes:
            if node.kind == "readout":
                continue
            sent = records.sent.get(node.name) or self._counted(node, records.values[node.name])
            if wrong := list(impossible_counts(f"{self._head.model}: /nodes/{node.name}", node, sent)):
                raise UserError(wrong)
            if node.kind == "input":
                self._static[node.name] &= sent.static
            self._append(self._file["nodes"][node.name], "events", sent.events[..., 0])
            kinds = {"events": sent.events} | ({} if node.value_class == "binary" else {"weighted": sent.weighted})
            for place, edge in enumerate(self._head.outgoing(node.name)):
                group = self._file["edges"][str(edge.index)]
                for kind, counts in kinds.items():
                    self._append(group, kind, counts[..., 1 + 2 * place])
                    self._append(group, f"{kind}_nonzero", counts[..., 2 + 2 * place])

    def _counted(self, node: Node, values: IntArray) -> SentCounts:
        """What a simulator recorded in full."""
        groups = [self._file["edges"][str(edge.index)] for edge in self._head.outgoing(node.name)]
        fan = fan_of(node.size, [(group["fan_out"][()], group["fan_out_nonzero"][()]) for group in groups])
        flat = values.reshape(*values.shape[:2], node.size)
        sent = sent_counts(flat, fan, binary=node.value_class == "binary")
        return replace(sent, static=node.kind == "input" and is_static(flat))

    def _append(self, group: h5py.Group, quantity: str, array: IntArray, rows: int | None = None) -> None:
        if quantity not in group:
            _create(group, quantity, (self._head.samples, *array.shape[1:]), array.dtype, rows)
        group[quantity][self._written : self._written + len(array)] = array


def _store(group: h5py.Group, name: str, array: IntArray | FloatArray) -> None:
    _create(group, name, array.shape, array.dtype)[...] = array


def _create(group: h5py.Group, name: str, shape: Shape, dtype: np.dtype[Any], rows: int | None = None) -> h5py.Dataset:
    """A dataset in chunks of so many rows; by default of as many as a chunk holds without being slow to fill."""
    rows = rows or max(1, min(shape[0], _CHUNK_VALUES // prod(shape[1:])))
    return group.create_dataset(name, shape, dtype, chunks=(rows, *shape[1:]), **_STORAGE)


def _node_attributes(node: Node) -> dict[str, Any]:
    labels = node.labels
    found: dict[str, Any] = {"kind": node.kind, "shape": node.shape, "value_class": node.value_class}
    found |= {
        "role": labels.role,
        "modality": labels.modality,
        "memoryless": node.memoryless,
        "scale": node.scale,
    }
    found |= {key: -1 if value is None else value for key, value in (("stage", labels.stage), ("block", labels.block))}
    return found if node.biased is None else found | {"biased": node.biased}


def _edge_attributes(edge: Edge) -> dict[str, Any]:
    found = {
        "source": edge.source,
        "target": edge.target,
        "kind": edge.kind,
        "origin": json.dumps(edge.origin),
        "learned": edge.learned,
        "parameters": edge.parameters,
        "nonzero_parameters": edge.nonzero_parameters,
    }
    return found if edge.macs is None else found | {"macs": edge.macs}
