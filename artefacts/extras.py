"""Packages of the optional extras: asked for by name before they are imported, and refused in one line if missing."""

from __future__ import annotations

from importlib.util import find_spec

from snnergy.artefacts.errors import UserError


def require(purpose: str, extra: str, *packages: str) -> None:
    """Check that packages are installed, without importing them.

    Args:
        purpose: what needs them, as the subject of the message: `training`.
        extra: of this project, that brings them.
        packages: names to import them by.

    Raises:
        UserError: names those that are missing and the command that installs them.
    """
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise UserError(
            f"{purpose} needs {', '.join(missing)} of the extra {extra!r}, not installed here: "
            f"pip install 'snnergy[{extra}]'"
        )
