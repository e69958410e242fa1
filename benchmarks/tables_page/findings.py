"""A claim and what was found of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.tables_page.margins import Verdict


@dataclass(frozen=True)
class Finding:
    """One line: where something was found, what, and what it says of the claim."""

    where: str
    here: str
    holds: Verdict


@dataclass(frozen=True)
class Claim:
    """What is claimed, with the published figures, and all that is known of it here."""

    text: str
    published: str
    findings: Sequence[Finding]
