"""Networks compare by value: equal where every number is, different where one thing is, never an error."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from snnergy.neuromorphic.graph.read_nir import from_graph
from snnergy.neuromorphic.ir import Conv2d, Dense, FloatNet, QuantNet
from snnergy.neuromorphic.passes.discretise_time import DiscretiseTime
from snnergy.neuromorphic.passes.fuse import Fuse
from tests.neuromorphic import graphs, nets


def float_net() -> FloatNet:
    return DiscretiseTime()(Fuse()(from_graph(graphs.branched())))


def changed(value: Any) -> Any:
    """Something of the same kind that differs from `value`."""
    if isinstance(value, np.ndarray):
        return value + 1
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return value + "'"
    if isinstance(value, tuple):
        return (*value, *value[:1]) if value else ("more",)
    if isinstance(value, dict):
        return {**value, "more": ""}
    return None if value is not None else np.ones(1)


def parts(net: FloatNet | QuantNet) -> list[Any]:
    return [net, *net.populations, *net.synapses, *(s.operator for s in net.synapses)]


@pytest.mark.parametrize(("make", "count"), [(float_net, 4), (lambda: nets.random_net(3), 4)], ids=["float", "quant"])
def test_equal_networks_are_equal_and_every_single_field_counts(make: Any, count: int) -> None:
    kinds = set()
    for one, other in zip(parts(make()), parts(make()), strict=True):
        assert one is not other and one == other
        kinds.add(type(one))
        for field in fields(one):
            assert replace(one, **{field.name: changed(getattr(one, field.name))}) != other, field.name
    assert len(kinds) >= count


def test_the_number_format_does_not_count_and_the_shape_does() -> None:
    weight = np.arange(4).reshape(2, 2)
    assert Dense(weight.astype(np.int32)) == Dense(weight.astype(np.float64))
    assert Dense(weight) != Dense(weight.reshape(1, 4))
    assert Dense(weight, np.zeros((2, 2), int)) != Dense(weight)
    assert Dense(weight) != Conv2d(weight.reshape(2, 2, 1, 1), (2, 1, 1))
    assert Dense(weight) != "weight"


def test_what_holds_arrays_is_not_hashable() -> None:
    for part in parts(nets.random_net(3)):
        with pytest.raises(TypeError, match="unhashable"):
            hash(part)
