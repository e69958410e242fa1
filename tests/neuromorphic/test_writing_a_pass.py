"""The example in docs/writing-a-pass.md is a pass that works."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from snnergy.neuromorphic.graph.read_nir import from_graph
from snnergy.neuromorphic.passes.discretise_time import DiscretiseTime
from snnergy.neuromorphic.passes.fuse import Fuse
from snnergy.neuromorphic.passes.infra import BrokenCondition
from tests.neuromorphic import graphs

PAGE = Path(__file__).parents[2] / "docs" / "writing-a-pass.md"


def test_the_example_drops_what_it_says_and_keeps_the_rest() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(code, str(PAGE), "exec"), names)
    drop = names["DropSilent"]()
    net = DiscretiseTime()(Fuse()(from_graph(graphs.branched())))
    assert drop(net) == net
    first = net.synapses[0]
    mute = replace(first, operator=replace(first.operator, weight=0 * first.operator.weight))
    assert drop(replace(net, synapses=(mute, *net.synapses[1:]))).synapses == net.synapses[1:]
    with pytest.raises(BrokenCondition, match="pass drop_silent requires 'every population behind"):
        drop(replace(net, populations=net.populations[::-1]))
