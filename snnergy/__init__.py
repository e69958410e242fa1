"""Spiking networks from PyTorch through NIR to a bit-exact Loihi model, with an exact ledger of operations.

    import snnergy as sn

    compiled = sn.compile(graph, calibration=(x, y))     # a NIR graph to the chip's integers
    run = sn.simulate(compiled, x, labels=y)             # every node's spikes, bit for bit as Lava has them
    report = sn.energy(run)                              # every operation counted and priced

    train ─▶ export ─▶ compile ─▶ simulate, verify ─▶ energy

Nothing needs a file in between, and each step takes the file of the one before it. Importing the package is light: what
a name needs is imported at the first look.
"""

from typing import TYPE_CHECKING

from snnergy.artefacts.lazy_package import make_lazy

if TYPE_CHECKING:
    from snnergy.artefacts.errors import BackendFailed, CheckFailed, SnnergyError, UserError
    from snnergy.artefacts.release import __version__
    from snnergy.energy.account import EnergyReport, energy
    from snnergy.export.artefact import export
    from snnergy.export.result import ExportResult
    from snnergy.finetuning.finetune import finetune
    from snnergy.neuromorphic.lowering.compile import compile
    from snnergy.neuromorphic.lowering.compiled import Compiled
    from snnergy.neuromorphic.lowering.inspect import Inspection, inspect
    from snnergy.neuromorphic.simulation.backends import BACKENDS, Backend, Emulator, Lava
    from snnergy.neuromorphic.simulation.networks import load
    from snnergy.neuromorphic.simulation.run import Run
    from snnergy.neuromorphic.simulation.simulate import simulate
    from snnergy.neuromorphic.simulation.verify import Verification, verify
    from snnergy.training.loop.result import TrainResult
    from snnergy.training.loop.train import train

__all__ = [
    "BACKENDS",
    "Backend",
    "BackendFailed",
    "CheckFailed",
    "Compiled",
    "Emulator",
    "EnergyReport",
    "ExportResult",
    "Inspection",
    "Lava",
    "Run",
    "SnnergyError",
    "TrainResult",
    "UserError",
    "Verification",
    "__version__",
    "compile",
    "energy",
    "export",
    "finetune",
    "inspect",
    "load",
    "simulate",
    "train",
    "verify",
]

_HOMES = {
    "snnergy.artefacts.release": ("__version__",),
    "snnergy.artefacts.errors": ("BackendFailed", "CheckFailed", "SnnergyError", "UserError"),
    "snnergy.energy.account": ("EnergyReport",),
    "snnergy.export.result": ("ExportResult",),
    "snnergy.finetuning.finetune": ("finetune",),
    "snnergy.neuromorphic.simulation.backends": ("BACKENDS", "Backend", "Emulator", "Lava"),
    "snnergy.neuromorphic.lowering.compile": ("compile",),
    "snnergy.neuromorphic.lowering.compiled": ("Compiled",),
    "snnergy.neuromorphic.lowering.inspect": ("Inspection", "inspect"),
    "snnergy.neuromorphic.simulation.networks": ("load",),
    "snnergy.neuromorphic.simulation.run": ("Run",),
    "snnergy.neuromorphic.simulation.simulate": ("simulate",),
    "snnergy.neuromorphic.simulation.verify": ("Verification", "verify"),
    "snnergy.training.loop.result": ("TrainResult",),
    "snnergy.training.loop.train": ("train",),
}
# `energy` and `export` are packages that can be called, see `snnergy.artefacts.lazy_package`.
_PACKAGES = {"energy": "snnergy.energy", "export": "snnergy.export"}
make_lazy(__name__, {name: home for home, names in _HOMES.items() for name in names} | _PACKAGES)
