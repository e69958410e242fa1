"""From a trained network to a NIR graph that is proved to compute the same spikes.

The package is a function as well: `snnergy.export(checkpoint)` is `snnergy.export.artefact.export(checkpoint)`.
"""

from typing import TYPE_CHECKING

from snnergy.artefacts.lazy_package import make_lazy

if TYPE_CHECKING:
    from snnergy.export.artefact import export
    from snnergy.export.parity import NodeParity, Parity
    from snnergy.export.result import ExportResult

# The functions of `parity` and `to_nir` are not among them: modules of those names are in the package.
__all__ = ["ExportResult", "NodeParity", "Parity", "export"]

_HOMES = {
    "snnergy.export.artefact": ("export",),
    "snnergy.export.result": ("ExportResult",),
    "snnergy.export.parity": ("NodeParity", "Parity"),
}
make_lazy(__name__, {name: home for home, names in _HOMES.items() for name in names}, main="export")
