"""From a trained network to a NIR graph that is proved to compute the same spikes.

The package is the function `snnergy.export.artefact.export` as well: `snnergy.export("runs/digits/checkpoint.pt")`.
Importing it is light; what needs torch is imported when it is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from snnergy.artefacts.callable_package import make_callable
from snnergy.export.artefact import ExportResult

if TYPE_CHECKING:
    from snnergy.export.parity import NodeParity, Parity

__all__ = ["ExportResult", "NodeParity", "Parity"]

make_callable(__name__, "snnergy.export.artefact:export")


def __getattr__(name: str) -> Any:
    if name in ("NodeParity", "Parity"):
        return getattr(import_module("snnergy.export.parity"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
