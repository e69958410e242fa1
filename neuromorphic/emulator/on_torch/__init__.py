"""The integer network as torch operations: slower than the kernels, wherever torch runs, and the same bit for bit."""

from snnergy.neuromorphic.emulator.on_torch.run import run

__all__ = ["run"]
