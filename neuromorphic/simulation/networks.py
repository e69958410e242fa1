"""Integer networks as callers hand them over: compiled just now, read before, or the path of a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from snnergy.neuromorphic.ir import QuantNet
from snnergy.neuromorphic.netx.files import read_netx


class HoldsNetwork(Protocol):
    """What compilation returns."""

    @property
    def net(self) -> QuantNet:
        """The integer network."""
        ...


@dataclass(frozen=True, eq=False)
class Named:
    """A network and what activity files call it."""

    net: QuantNet
    name: str


NetSource = QuantNet | HoldsNetwork | Named | Path | str


def load(path: Path | str, *, num_layers: int | None = None) -> QuantNet:
    """Read a `.net` file, ours or lava-dl's.

    Args:
        num_layers: read the first layers of a lava-dl file only, as the argument of netx's `Network` does.

    Raises:
        UserError: not a netx file, damaged, or holding something that netx cannot build; all violations at once.
    """
    return read_netx(path, num_layers=num_layers)


def as_network(source: NetSource) -> Named:
    """The network, and its name.

    Raises:
        UserError: as `load`.
    """
    if isinstance(source, Path | str):
        return Named(load(source), Path(source).name)
    if isinstance(source, Named):
        return source
    net = source if isinstance(source, QuantNet) else source.net
    return Named(net, net.provenance.get("source", "network"))
