"""From a trained network to a NIR graph that is proved to compute the same spikes."""

from snnergy.export.artefact import ExportResult, export_nir
from snnergy.export.parity import NodeParity, Parity, parity
from snnergy.export.to_nir import to_nir

__all__ = ["ExportResult", "NodeParity", "Parity", "export_nir", "parity", "to_nir"]
