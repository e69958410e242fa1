"""Lava's fixed-point simulator as a backend: the reference that the emulator is held to, bit for bit.

Lava runs in a child of its own (`child.py`), so that a hang, a crash or a leak of it ends with the child. The parent
(`runner.py`, `stretch.py`) imports neither Lava nor torch; nothing in this package imports torch.
"""

from snnergy.neuromorphic.lava.runner import run

__all__ = ["run"]
