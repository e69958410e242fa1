"""What is decoded from media files, kept on disk: decoding is done once, by whichever process comes first.

An entry is a file named by the hash of all that it depends on: the decoder with its settings, the decoding libraries,
and of each media file its path, size and time of change. So an entry never goes stale; it is only no longer asked for,
and the folder may be deleted at any time. Entries appear whole, by renaming: processes may fill one folder together.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import Field, asdict
from functools import lru_cache
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar, Protocol
from zipfile import BadZipFile

import av
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.files import written_whole
from snnergy.training.data.dataset import Excluded
from snnergy.training.data.media import Unusable

_RULES = 3  # to be raised when a decoder gives other arrays for the same settings
_REFUSED = ".json"  # ending of the entry of a clip that cannot be used

Files = tuple[Path, ...]
Arrays = dict[str, npt.NDArray[Any]]


class Decoder(Protocol):
    """A frozen dataclass whose fields are all that its result depends on, next to the files."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def __call__(self, files: Files) -> Arrays:
        """Decode one clip.

        Raises:
            Unusable: the clip cannot be used.
        """
        ...


@lru_cache(maxsize=1)
def _libraries() -> dict[str, str]:
    versions = {name: metadata.version(name) for name in ("av", "librosa", "scipy")}
    return versions | {"ffmpeg": av.ffmpeg_version_info}


class Cache:
    """The decoded clips of one folder.

    Args:
        folder: made where it is missing.
        decoder: of a clip, as a frozen dataclass.

    Raises:
        UserError: the folder cannot be written.
    """

    def __init__(self, folder: Path, decoder: Decoder) -> None:
        self.folder = folder
        self.decoder = decoder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{folder}: cannot be made ({error.strerror}); set data.cache to another folder") from None
        if not os.access(folder, os.W_OK | os.X_OK):
            raise UserError(f"{folder}: cannot be written; set data.cache to another folder")
        self._settings = {"decoder": type(decoder).__name__, **asdict(decoder), "rules": _RULES, **_libraries()}

    def fill(self, clips: Sequence[Files]) -> list[Path | Excluded]:
        """Decode every clip that has no entry yet, on all processors.

        Returns:
            For each clip its entry, or why it cannot be used.
        """
        watched = Console(stderr=True)
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # FFmpeg works outside Python's lock
            entries = pool.map(self._fill_one, clips)
            title = f"decoding to {self.folder}"
            return list(track(entries, title, len(clips), console=watched, disable=not watched.is_terminal))

    def load(self, entry: Path, files: Files) -> Arrays:
        """The arrays of an entry; decoded again where the entry is gone or damaged."""
        try:
            with entry.open("rb") as file, np.load(file) as arrays:  # np.load alone leaves a damaged file open
                return dict(arrays)
        except (OSError, ValueError, EOFError, BadZipFile):
            return self._decode(entry, files)

    def _fill_one(self, files: Files) -> Path | Excluded:
        try:
            entry = self._entry(files)
            if not entry.is_file():
                refused = _read_refusal(entry)
                if refused:
                    return refused
                self._decode(entry, files)
        except Unusable as error:
            return Excluded(error.path, error.reason)
        return entry

    def _entry(self, files: Files) -> Path:
        """Where the arrays of a clip belong."""
        states = []
        for path in files:
            try:
                state = path.stat()
            except FileNotFoundError:
                raise Unusable(path, "missing") from None
            states.append((str(path.resolve()), state.st_size, state.st_mtime_ns))
        key = json.dumps([self._settings, states], sort_keys=True)
        return self.folder / f"{sha256(key.encode()).hexdigest()[:40]}.npz"

    def _decode(self, entry: Path, files: Files) -> Arrays:
        """Decode a clip and write its entry; that it cannot be used is remembered as well."""
        try:
            arrays = self.decoder(files)
        except Unusable as error:
            with written_whole(entry.with_suffix(_REFUSED), force=True) as scratch:
                scratch.write_text(json.dumps([str(error.path), error.reason]))
            raise
        with written_whole(entry, force=True) as scratch:
            np.savez(scratch, **arrays)
        return arrays


def _read_refusal(entry: Path) -> Excluded | None:
    """Why an earlier run could not use the clip; None where there was none."""
    try:
        path, reason = json.loads(entry.with_suffix(_REFUSED).read_text())
    except (OSError, ValueError):
        return None
    return Excluded(Path(path), reason)
