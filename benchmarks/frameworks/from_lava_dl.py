"""lava-dl slayer: dense, delayed, convolutional and recurrent blocks, which it writes as .net files of netx.

Its layers compute in the chip's integers, so NAME.float.npz is exact: what comes out is held bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import lava.lib.dl.slayer as slayer
import numpy as np
import torch

from benchmarks.frameworks.common import CLASSES, HIDDEN, INPUTS, MAPS, SIDE, main, save, spikes, weight

_NEURON = {"threshold": 1.25, "current_decay": 0.25, "voltage_decay": 0.1, "requires_grad": False}


def _fill(block: Any, seed: int) -> Any:
    """Our weights in place of random ones."""
    for place, layer in enumerate(getattr(block, name) for name in ("synapse", "input_synapse", "recurrent_synapse")
                                  if hasattr(block, name)):  # fmt: skip
        shape = tuple(layer.weight.shape)
        layer.weight.data = torch.from_numpy(weight(seed + place, *shape[:2], *shape[2:], gain=1.0 - 0.7 * (place > 0)))
    return block


def _run(blocks: Callable[[], list[Any]], shape: tuple[int, ...], folder: Path, name: str) -> None:
    net, x = blocks(), spikes(*shape)
    value = torch.from_numpy(np.moveaxis(x, 1, -1).astype(np.float32))  # (N, *shape, T)
    with torch.no_grad():
        for block in net:
            value = block(value)
    with h5py.File(folder / f"{name}.net", "w") as file:
        layers = file.create_group("layer")
        if len(shape) > 1:  # before a convolution netx must be told the shape: an input layer without neurons
            layers.create_dataset("0/type", data="input")
            layers.create_dataset("0/shape", data=np.array(shape))
        for place, block in enumerate(net, len(layers)):
            block.export_hdf5(layers.create_group(str(place)))
    save(folder, name, "input", x, np.moveaxis(value.numpy(), -1, 1))


def _dense(*, delay: bool) -> list[Any]:
    block = partial(slayer.block.cuba.Dense, _NEURON, weight_norm=False, delay=delay)
    net = [_fill(block(INPUTS, HIDDEN), 1), _fill(block(HIDDEN, CLASSES, delay=False), 3)]
    if delay:
        net[0].delay.delay.data = torch.arange(HIDDEN).float() % 6
        net[0].delay.init = True  # or the first use draws others
    return net


def _convolution() -> list[Any]:
    conv = slayer.block.cuba.Conv(_NEURON, 2, MAPS, 3, padding=1, stride=2, weight_norm=False)
    return [
        _fill(conv, 11),
        slayer.block.cuba.Flatten(),
        _fill(slayer.block.cuba.Dense(_NEURON, MAPS * (SIDE // 2) ** 2, CLASSES, weight_norm=False), 13),
    ]


def _recurrent() -> list[Any]:
    return [_fill(slayer.block.cuba.Recurrent(_NEURON, INPUTS, HIDDEN), 1),
            _fill(slayer.block.cuba.Dense(_NEURON, HIDDEN, CLASSES, weight_norm=False), 3)]  # fmt: skip


if __name__ == "__main__":
    main(
        {
            "lava_dl_dense": partial(_run, partial(_dense, delay=False), (INPUTS,)),
            "lava_dl_delay": partial(_run, partial(_dense, delay=True), (INPUTS,)),
            "lava_dl_conv": partial(_run, _convolution, (2, SIDE, SIDE)),
            "lava_dl_recurrent": partial(_run, _recurrent, (INPUTS,)),
        }
    )
