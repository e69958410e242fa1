"""Numbers as a reader wants them: three significant digits and an SI prefix."""

from __future__ import annotations

import math
from dataclasses import dataclass

_ENERGY = ((1e12, "J"), (1e9, "mJ"), (1e6, "µJ"), (1e3, "nJ"), (1.0, "pJ"))
_COUNT = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
NOTHING = "—"
TIMES = "\N{MULTIPLICATION SIGN}"


@dataclass(frozen=True)
class Unit:
    """A unit fit for values up to some size, and how many base units it holds."""

    factor: float
    symbol: str


def energy_unit(largest_pj: float) -> Unit:
    """The unit in which a picojoule value of that size has one to three digits before the point."""
    return Unit(*next((unit for unit in _ENERGY if abs(largest_pj) >= unit[0]), _ENERGY[-1]))


def count_unit(largest: float) -> Unit:
    """The prefix with which a count of that size has one to three digits before the point."""
    return Unit(*next((unit for unit in _COUNT if abs(largest) >= unit[0]), _COUNT[-1]))


def energy(pj: float | None) -> str:
    """`1.23 µJ`; a dash where a price is missing."""
    if pj is None:
        return NOTHING
    unit = energy_unit(pj)
    return f"{significant(pj / unit.factor)} {unit.symbol}"


def number(count: float | None) -> str:
    """`1.23 M`."""
    if count is None:
        return NOTHING
    unit = count_unit(count)
    return f"{significant(count / unit.factor)} {unit.symbol}".rstrip()


def percent(fraction: float | None) -> str:
    """`12.3 %` of a fraction."""
    return NOTHING if fraction is None else f"{significant(100 * fraction)} %"


def signed_percent(value: float | None) -> str:
    """`+12.3 %` of a value that is in percent already."""
    if value is None:
        return NOTHING
    return "0 %" if value == 0 else f"{'+' if value > 0 else '-'}{significant(abs(value))} %"


def ratio(value: float | None) -> str:
    """A factor with its sign."""
    return NOTHING if value is None else f"{significant(value)} {TIMES}"


def break_even(rate: float | None) -> str:
    """A break-even spike rate, in words where it is no rate."""
    if rate is None:
        return NOTHING
    if rate <= 0:
        return "no rate"
    return "any rate" if rate >= 1 else percent(rate)


def significant(value: float) -> str:
    """Three significant digits without an exponent; whole numbers as they are."""
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(decimals, 6)}f}"
