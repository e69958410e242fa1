"""The lists and tables that come with a data set, read as UTF-8 text."""

from __future__ import annotations

import csv
from pathlib import Path

from snnergy.artefacts.errors import UserError


def read_lines(path: Path, advice: str) -> list[str]:
    """The lines of a text file.

    Args:
        path: of the file.
        advice: what to do where it cannot be read.

    Raises:
        UserError: the file cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as UTF-8 text ({error}); {advice}") from None


def read_table(path: Path, advice: str) -> list[tuple[int, dict[str, str]]]:
    """The rows of a CSV file by its header, each with its line number; what a short row lacks is empty.

    Args:
        path: of the file.
        advice: what to do where it cannot be read.

    Raises:
        UserError: the file cannot be read, or is neither UTF-8 nor CSV.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, restval="")
            return [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as a UTF-8 table ({error}); {advice}") from None
