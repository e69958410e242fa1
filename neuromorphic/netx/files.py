"""Integer networks as netx files: HDF5 that stock lava-dl reads where the network is a chain of layers.

`/layer/<i>` holds each synapse with its neurons in netx's own form (`netx_layers.py`), `/graph` everything that a
branched network adds (`netx_graph.py`). A file without `/graph` comes from lava-dl and is read as the chain that netx
would build (`netx_stock.py`).
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import h5py

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.files import sha256_of, written_whole
from snnergy.artefacts.hdf5 import CHECKED, copy_with_checksums, opened
from snnergy.artefacts.kinds import NETX, require
from snnergy.artefacts.late_errors import LateErrors
from snnergy.neuromorphic.ir import QuantNet
from snnergy.neuromorphic.netx.graph_group import REMAKE, read_graph, write_graph
from snnergy.neuromorphic.netx.layer_group import stock_obstacles, write_layers
from snnergy.neuromorphic.netx.soundness import require_sound
from snnergy.neuromorphic.netx.stock import read_chain

__all__ = ["read_netx", "stock_obstacles", "write_netx"]


def write_netx(net: QuantNet, path: Path | str, *, force: bool = False) -> None:
    """Write `net` to `path`, whole or not at all.

    Raises:
        UserError: `path` exists and `force` is false, or a value does not fit the chip's registers.
    """
    require_sound(net, str(path))
    with written_whole(Path(path), force=force) as scratch:
        write_sound(net, scratch)


def write_sound(net: QuantNet, scratch: Path) -> None:
    """Write a network that `require_sound` let pass, into a file that takes its place later."""
    with (
        h5py.File(BytesIO(), "w") as draft,
        LateErrors(scratch) as disk,
        h5py.File(disk, "w", **CHECKED) as file,
    ):
        write_graph(draft, net, write_layers(draft, net))
        copy_with_checksums(draft, file)


def read_netx(path: Path | str, *, num_layers: int | None = None) -> QuantNet:
    """Read a `.net` file, ours or lava-dl's.

    Args:
        num_layers: read the first layers of a lava-dl file only, as the argument of netx's `Network` does.

    Returns:
        The network. A lava-dl file has one input: `input` (spikes), or `drive` (integers, `round(x / scale)`) where
        its input layer has neurons; its populations are `layer<index>`, and state is not reset between samples.

    Raises:
        UserError: not a netx file, damaged, or holding something that netx cannot build; all violations at once.
    """
    path = Path(path)
    require((path, NETX))
    if num_layers is not None and num_layers < 1:
        raise UserError(f"num_layers {num_layers}: at least 1 layer is needed; raise it or leave it out")
    with opened(path, REMAKE) as file:
        if "graph" not in file:
            provenance = {"source": path.name, "source_sha256": sha256_of(path)}
            return read_chain(file, str(path), num_layers, provenance)
        if num_layers is not None:
            raise UserError(f"{path}: holds a graph, which num_layers cannot cut; leave num_layers out")
        return read_graph(file, str(path))
