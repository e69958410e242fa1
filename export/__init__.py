"""From a trained network to a NIR graph that is proved to compute the same spikes."""

from export.artefact import ExportResult, export_nir
from export.parity import NodeParity, Parity, parity
from export.to_nir import to_nir

__all__ = ["ExportResult", "NodeParity", "Parity", "export_nir", "parity", "to_nir"]
