"""What the publication claims, what it has for that, what is found here, and whether the claim holds.

A difference of accuracies decides where it is wider than `DEVIATIONS` deviations, either way; other figures by the
bounds that the section states.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.tables_page import claims_on_accuracy, claims_on_cost
from benchmarks.tables_page.cells import Row, markdown
from benchmarks.tables_page.margins import DEVIATIONS


def section(
    tables: Sequence[Row], fusions: Sequence[Sequence[Row]], table1: Sequence[Row], attended: Sequence[Row]
) -> list[str]:
    """A line for each claim and place where it was looked at; nothing where no figures are there."""
    claims = [*claims_on_accuracy.claims(tables, fusions, table1), *claims_on_cost.claims(tables, fusions, attended)]
    body = [
        [*((claim.text, claim.published) if number == 0 else ("", "")), line.where, line.here, line.holds]
        for claim in claims
        for number, line in enumerate(claim.findings)
    ]
    if not body:
        return []
    return [
        "## What of the publication's claims holds here, and what does not",
        f"Accuracies decide by a difference of more than {DEVIATIONS} deviations of a single run, √(s₁² + s₂²), in "
        "every comparison that a claim is made of; it is undecided where one of them is narrower, or has one seed. "
        f"Rates decide by the published range, with {DEVIATIONS} deviations of tolerance; a cost counts as linear up "
        f"to an exponent of {claims_on_cost.LINEAR}.",
        markdown(["claim", "published", "where", "here", "holds"], body),
    ]
