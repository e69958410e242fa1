"""Entry points of the programs: what ends a program early is answered before anything slow is imported.

Until then an interruption finds nothing to clean up, so that the program ends on the spot.
"""

from __future__ import annotations

import os
import signal
from functools import partial
from types import FrameType


def main() -> int:
    """Entry point of `snnergy`."""
    _answer_at_once("snnergy")
    from snnergy import cli

    return cli.main()


def export_nir_main() -> int:
    """Entry point of `export-nir`, which is `snnergy export`."""
    _answer_at_once("export-nir")
    from snnergy import cli

    return cli.export_nir_main()


def _answer_at_once(program: str) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, partial(_leave, program))


def _leave(program: str, number: int, _: FrameType | None) -> None:
    os.write(2, f"{program}: interrupted\n".encode())
    os._exit(128 + number)
