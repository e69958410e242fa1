"""Price lists and the arithmetic of a bill."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from snnergy.artefacts.errors import UserError
from snnergy.energy import TECHNOLOGIES, count, read_activity
from snnergy.energy.bill import charge, charge_ledger
from snnergy.energy.operations import KIND
from snnergy.energy.prices import FP32, technology_named
from tests.energy import networks


@pytest.mark.parametrize("technology", TECHNOLOGIES.values(), ids=TECHNOLOGIES)
def test_every_operation_is_charged_or_excused(technology) -> None:
    assert technology.charges.keys() | technology.omitted.keys() == KIND.keys()
    assert not technology.charges.keys() & technology.omitted.keys()
    terms = [price.term for price in technology.prices]
    assert len(set(terms)) == len(terms)
    assert set(technology.charges.values()) <= set(terms)
    assert all(price.source and (price.pj is None) == (price.grade == "unpublished") for price in technology.prices)


@pytest.mark.parametrize("technology", TECHNOLOGIES.values(), ids=TECHNOLOGIES)
def test_no_synapse_is_charged_twice(technology) -> None:
    assert not {"ac_weighted", "graded_events"} <= technology.charges.keys()
    assert not {"mac_dense", "mac_effective"} <= technology.charges.keys()


def test_published_prices() -> None:
    found = {(name, price.term): price.pj for name, listed in TECHNOLOGIES.items() for price in listed.prices}
    assert found["45nm-fp32", "multiply-add"] == 4.6
    assert found["45nm-fp32", "add"] == 0.9
    assert found["45nm-fp16", "multiply-add"] == 1.5
    assert found["45nm-fp16", "add"] == 0.4
    assert found["45nm-int8", "multiply-add"] == 0.23
    assert found["45nm-int8", "add"] == 0.03
    assert found["loihi1", "synaptic operation"] == 23.6
    assert found["loihi1", "neuron update, active"] == 81.0
    assert all(pj is None for (name, _), pj in found.items() if name == "loihi2")


def test_published_figure_of_spikingformer_8_512() -> None:
    bill = charge({"mac_dense": 347_329_512, "ac": 6.51754094076244e9}, FP32)
    assert bill.total_pj is not None
    assert bill.total_pj[0] * 1e-9 == pytest.approx(7.463502601886196, rel=1e-14)  # mJ


def test_a_missing_price_is_no_total_and_never_zero() -> None:
    bill = charge({"ac": [10, 20], "mac_effective": [0, 1]}, technology_named("loihi1"))
    assert bill.total_pj is None
    assert bill.unpriced == ("mac_effective",)
    np.testing.assert_allclose(bill.priced_pj, [236.0, 472.0])


def test_what_never_happened_needs_no_price() -> None:
    bill = charge({"ac": [10, 20], "mac_effective": [0, 0]}, technology_named("loihi1"))
    assert bill.unpriced == ()
    assert bill.total_pj is not None


def test_a_ledger_costs_the_sum_of_its_parts(tmp_path: Path) -> None:
    ledger = count(read_activity(networks.mixed(tmp_path / "activity.h5")))
    parts = ledger.split(lambda place: place.role)
    total = charge_ledger(ledger, FP32).total_pj
    assert total is not None
    np.testing.assert_allclose(total, sum(charge_ledger(part, FP32).priced_pj for part in parts.values()), rtol=1e-14)
    skipped = charge_ledger(ledger, FP32, skip_zero_weights=True).total_pj
    assert skipped is not None
    assert (skipped < total).all()


def test_an_unknown_technology_names_the_known_ones() -> None:
    with pytest.raises(UserError, match="45nm-fp32, 45nm-fp16"):
        technology_named("7nm")
