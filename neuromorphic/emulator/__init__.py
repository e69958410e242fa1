"""Bit-exact emulator of an integer network: whole batch, whole time, one population after another."""

from snnergy.neuromorphic.emulator.memory import needed
from snnergy.neuromorphic.emulator.run import run

__all__ = ["needed", "run"]
