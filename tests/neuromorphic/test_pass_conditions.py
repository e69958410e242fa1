"""What passes promise is checked in debugging, and a broken promise names the pass and the condition."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest

from snnergy.neuromorphic.graph.read_nir import from_graph
from snnergy.neuromorphic.ir import Dense, FloatNet
from snnergy.neuromorphic.passes.balance_delays import BalanceDelays
from snnergy.neuromorphic.passes.check import Check
from snnergy.neuromorphic.passes.discretise_time import DiscretiseTime
from snnergy.neuromorphic.passes.fit_chip import FitChip
from snnergy.neuromorphic.passes.fuse import Fuse
from snnergy.neuromorphic.passes.infra import BrokenCondition, Condition, Pass
from snnergy.neuromorphic.passes.quantize import Quantize
from snnergy.neuromorphic.passes.round_decays import RoundDecays
from tests.neuromorphic import graphs

PASSES = (Fuse, DiscretiseTime, FitChip, BalanceDelays, RoundDecays, Quantize, Check)


def float_net() -> FloatNet:
    return DiscretiseTime()(Fuse()(from_graph(graphs.branched())))


def _too_large(number: int) -> Iterator[str]:
    if number > 9:
        yield f"{number} has two digits"


@dataclass(frozen=True)
class Add(Pass[int, int]):
    amount: int
    name = "add"
    requires = (Condition("one digit", _too_large),)
    ensures = (Condition("still one digit", _too_large),)

    def rewrite(self, ir: int) -> int:
        return ir + self.amount


def test_conditions_are_checked_on_the_way_in_and_on_the_way_out() -> None:
    assert Add(2)(7) == 9
    with pytest.raises(BrokenCondition, match=r"pass add requires 'one digit':\n10 has two digits"):
        Add(2)(10)
    with pytest.raises(BrokenCondition, match=r"pass add ensures 'still one digit':\n10 has two digits"):
        Add(3)(7)


@pytest.mark.parametrize("value", ["0", None])
def test_nothing_is_checked_outside_debugging(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SNNERGY_DEBUG")
    if value is not None:
        monkeypatch.setenv("SNNERGY_DEBUG", value)
    assert Add(3)(10) == 13


def test_every_pass_says_its_name_and_what_it_ensures() -> None:
    assert len({kind.name for kind in PASSES}) == len(PASSES)
    for kind in PASSES:
        assert kind.__module__.endswith(f".{kind.name}") and kind.__doc__ and kind.ensures


@pytest.mark.parametrize(
    ("pass_", "damage", "condition"),
    [
        (Quantize(), lambda net: net, "depth of the source"),
        (BalanceDelays(), lambda net: replace(net, populations=net.populations[::-1]), "behind those that feed it"),
        (
            Quantize(),
            lambda net: replace(net, populations=tuple(replace(p, threshold=None) for p in net.populations)),
            "spiking population",
        ),
        (
            Quantize(),
            lambda net: replace(net, synapses=(replace(net.synapses[0], operator=Dense(np.eye(2))), *net.synapses[1:])),
            "fits its source",
        ),
    ],
)
def test_a_pass_refuses_a_network_that_it_cannot_take(pass_: Pass, damage: object, condition: str) -> None:
    with pytest.raises(BrokenCondition, match=condition):
        pass_(damage(float_net()))  # type: ignore[operator]


def test_a_graph_out_of_order_is_not_fused() -> None:
    source = from_graph(graphs.branched())
    with pytest.raises(BrokenCondition, match="pass fuse requires 'every node behind"):
        Fuse()(replace(source, order=source.order[::-1]))
    with pytest.raises(BrokenCondition, match="pass discretise_time requires 'every branch starts"):
        fused = Fuse()(source)
        branch = replace(fused.arrivals["deep"].branches[0], source="alpha")
        arrivals = fused.arrivals | {"deep": replace(fused.arrivals["deep"], branches=(branch,))}
        DiscretiseTime()(replace(fused, arrivals=arrivals))
