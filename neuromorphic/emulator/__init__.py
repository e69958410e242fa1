"""Bit-exact emulator of an integer network: whole batch, whole time, one population after another."""

from snnergy.neuromorphic.emulator.memory import needed
from snnergy.neuromorphic.emulator.run import prepared, run

__all__ = ["needed", "prepared", "run"]
