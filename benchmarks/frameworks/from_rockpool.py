"""Rockpool: LIFNeuronTorch, and LIFTorch, which is current-based; exported by rockpool.nn.modules.to_nir."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import nir
import numpy as np
import torch
from rockpool.nn.combinators import Sequential
from rockpool.nn.modules import LIFNeuronTorch, LIFTorch, LinearTorch, to_nir
from rockpool.parameters import Constant

from benchmarks.frameworks.common import CLASSES, HIDDEN, INPUTS, main, save, spikes, weight

_DT = 1e-3


def _linear(seed: int, outputs: int, inputs: int, gain: float) -> Any:
    layer = LinearTorch((inputs, outputs), has_bias=False)
    layer.weight.data = torch.from_numpy(weight(seed, outputs, inputs, gain=gain).T.copy())
    return layer


def _layers(neuron: Callable[[int], Any], folder: Path, name: str, *, gain: float) -> None:
    net = Sequential(
        _linear(1, HIDDEN, INPUTS, gain), neuron(HIDDEN), _linear(3, CLASSES, HIDDEN, gain), neuron(CLASSES)
    )
    x = spikes(INPUTS)
    with torch.no_grad():
        out = []
        for sample in x:
            net.reset_state()
            emitted, _, _ = net(torch.from_numpy(sample[None]).float())
            out.append(emitted[0].numpy())
        net.reset_state()
        graph = to_nir(net, torch.zeros(1, INPUTS))
    nir.write(str(folder / f"{name}.nir"), graph)
    save(folder, name, "input", x, np.asarray(out))


def _vector(value: float, count: int) -> Any:
    return Constant(torch.full((count,), value))


def _lif(count: int) -> Any:
    return LIFNeuronTorch(count, tau_mem=_vector(0.01, count), threshold=_vector(1.0, count), dt=_DT)


def _cuba(count: int) -> Any:
    constants = {"tau_mem": 0.01, "tau_syn": 0.005, "threshold": 1.0, "bias": 0.0}
    return LIFTorch(count, **{name: _vector(value, count) for name, value in constants.items()}, dt=_DT)


if __name__ == "__main__":
    main({"rockpool_lif": partial(_layers, _lif, gain=1.0), "rockpool_cuba": partial(_layers, _cuba, gain=0.3)})
