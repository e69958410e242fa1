"""Graphs as other frameworks write them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import nir
import numpy as np

from tests.neuromorphic import graphs

full = graphs.full


def ports(*shape: int, **metadata: Any) -> tuple[nir.Input, nir.Output]:
    return nir.Input({"input": np.array(shape)}, metadata=metadata), nir.Output({"output": np.array(shape)})


def chain(*nodes: nir.NIRNode, **metadata: Any) -> nir.NIRGraph:
    names = [f"n{i}" for i in range(len(nodes))]
    return nir.NIRGraph(dict(zip(names, nodes, strict=True)), list(pairwise(names)), metadata, type_check=False)


def between(*nodes: nir.NIRNode, size: int = 2, **metadata: Any) -> nir.NIRGraph:
    inp, out = ports(size)
    return chain(inp, *nodes, out, **metadata)


def lif(size: int, tau: Any, r: Any = 1.0, threshold: float = 1.0) -> nir.LIF:
    zero, tau, r = full((size,), 0), np.broadcast_to(np.float32(tau), size), np.broadcast_to(np.float32(r), size)
    return nir.LIF(tau=tau.copy(), r=r.copy(), v_leak=zero, v_threshold=full((size,), threshold), v_reset=zero)


def cuba(size: int, tau_syn: float, tau_mem: float, r: float, w_in: float) -> nir.CubaLIF:
    values = {"tau_syn": tau_syn, "tau_mem": tau_mem, "r": r, "w_in": w_in, "v_leak": 0, "v_threshold": 1, "v_reset": 0}
    return nir.CubaLIF(**{name: full((size,), value) for name, value in values.items()})


def integrator(size: int, r: float) -> nir.IF:
    return nir.IF(r=full((size,), r), v_threshold=full((size,), 1), v_reset=full((size,), 0))


def linear(size: int = 2, gain: float = 4.0) -> nir.Linear:
    return nir.Linear(full((size, size), gain))
