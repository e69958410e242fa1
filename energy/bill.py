"""Counts times prices: energy = Σ count(operation) · price(operation), in picojoules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snnergy.energy.ledger import Ledger
from snnergy.energy.operations import Operation
from snnergy.energy.prices import Technology

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Bill:
    """Energy of each sample.

    by_operation_pj: operation → energy `(samples,)`, only operations that are charged and priced.
    unpriced: operations that happened and are charged to a price that nobody has published.
    """

    by_operation_pj: Mapping[Operation, FloatArray]
    unpriced: tuple[Operation, ...]
    samples: int

    @property
    def total_pj(self) -> FloatArray | None:
        """Energy of each sample `(samples,)`, or None if a price is missing."""
        return None if self.unpriced else self.priced_pj

    @property
    def priced_pj(self) -> FloatArray:
        """Energy of the operations that have a price `(samples,)`: a part of the total, not an estimate of it."""
        return sum(self.by_operation_pj.values(), np.zeros(self.samples))


def charge(counts: Mapping[Operation, npt.ArrayLike], technology: Technology) -> Bill:
    """Price counts, each a scalar or `(samples,)`. An operation that never happened needs no price."""
    by_operation: dict[Operation, FloatArray] = {}
    unpriced: list[Operation] = []
    samples = 1
    for operation, count in counts.items():
        per_sample = np.atleast_1d(np.asarray(count, dtype=np.float64))
        samples = len(per_sample)
        price = technology.price(operation)
        if price is None:
            continue
        if price.pj is not None:
            by_operation[operation] = per_sample * price.pj
        elif per_sample.any():
            unpriced.append(operation)
    return Bill(by_operation, tuple(unpriced), samples)


def charge_ledger(ledger: Ledger, technology: Technology, *, skip_zero_weights: bool = False) -> Bill:
    """Price a ledger; sums are taken over integers, so that each price is applied once."""
    counts: dict[Operation, npt.ArrayLike] = {
        operation: ledger.per_sample(operation, skip_zero_weights=skip_zero_weights)
        for operation in ledger.operations()
    }
    return charge(counts, technology)
