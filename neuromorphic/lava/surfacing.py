"""Makes an exception inside a simulation process visible.

Lava catches what `run_spk` raises, reports it to no one and waits for ever. Here the first exception of a run becomes
a traceback in the job folder and ends its OS process at once; the parent, which watches for the file, does the rest.
"""

from __future__ import annotations

import os
import traceback
from contextlib import suppress
from pathlib import Path
from types import TracebackType

EXIT_CODE = 70  # EX_SOFTWARE of sysexits.h
_ROOM = 1 << 16  # bytes; of a longer traceback the end is kept


def reserve(failure: Path) -> None:
    """Keep the room of a report, so that one can be made when the disk is full."""
    _reserved(failure).write_bytes(bytes(_ROOM))


def surface(failure: Path, text: str) -> None:
    """Store `text` as the reason of failure, unless an earlier one is there, and end this OS process."""
    draft = failure.with_name(f"{failure.name}.{os.getpid()}")
    with suppress(FileNotFoundError):  # taken by the earlier one
        os.rename(_reserved(failure), draft)
        with draft.open("r+b") as file:
            file.truncate(file.write(text.encode(errors="replace")[-_ROOM:]))
        os.rename(draft, failure)
    os._exit(EXIT_CODE)


def _reserved(failure: Path) -> Path:
    return failure.with_suffix(".reserved")


class Surfacing:
    """Context manager that surfaces any exception, with its traceback, in the file `failure`."""

    def __init__(self, failure: Path | str) -> None:
        """Surface into the file `failure` of the job folder."""
        self._failure = Path(failure)

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Surface `error`, if there is one."""
        if error is not None:
            surface(self._failure, "".join(traceback.format_exception(error)))
