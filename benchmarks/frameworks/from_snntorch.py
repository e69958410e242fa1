"""snnTorch: LIF with either reset, current-based LIF, a recurrent layer; exported by snntorch.export_nir.

A file holds vectors only where beta and threshold are given as vectors.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import nir
import numpy as np
import snntorch
import torch
from snntorch import utils
from snntorch.export_nir import export_to_nir

from benchmarks.frameworks.common import CLASSES, HIDDEN, INPUTS, bias, main, save, spikes, weight


def _linear(seed: int, outputs: int, inputs: int, *, biased: bool = True) -> torch.nn.Linear:
    layer = torch.nn.Linear(inputs, outputs, bias=biased)
    layer.weight.data = torch.from_numpy(weight(seed, outputs, inputs))
    if biased:
        layer.bias.data = torch.from_numpy(bias(seed + 1, outputs))
    return layer


def _neuron(kind: type, count: int, *, last: bool, **options: Any) -> Any:
    vectors = {"beta": torch.full((count,), 0.8), "threshold": torch.ones(count)}
    if kind in (snntorch.Synaptic, snntorch.RSynaptic):
        vectors["alpha"] = torch.full((count,), 0.6)
    return kind(**vectors, init_hidden=True, output=last, **options)


def _run(net: torch.nn.Module, folder: Path, name: str) -> None:
    x = spikes(INPUTS)
    utils.reset(net)
    with torch.no_grad():
        out = [net(torch.from_numpy(x[:, t]).float()) for t in range(x.shape[1])]
    emitted = torch.stack([step[0] if isinstance(step, tuple) else step for step in out], 1).numpy()
    utils.reset(net)
    nir.write(str(folder / f"{name}.nir"), export_to_nir(net, torch.zeros(INPUTS)))
    save(folder, name, "input", x, np.asarray(emitted))


def _layers(kind: type, reset: str, folder: Path, name: str, *, biased: bool = True) -> None:
    net = torch.nn.Sequential(
        _linear(1, HIDDEN, INPUTS, biased=biased),
        _neuron(kind, HIDDEN, last=False, reset_mechanism=reset),
        _linear(3, CLASSES, HIDDEN, biased=biased),
        _neuron(kind, CLASSES, last=True, reset_mechanism=reset),
    )
    _run(net, folder, name)


def _recurrent(folder: Path, name: str) -> None:
    hidden = _neuron(snntorch.RLeaky, HIDDEN, last=False, linear_features=HIDDEN, reset_mechanism="zero")
    hidden.recurrent.weight.data = torch.from_numpy(weight(5, HIDDEN, HIDDEN, gain=0.5))
    hidden.recurrent.bias.data.zero_()
    last = _neuron(snntorch.Leaky, CLASSES, last=True, reset_mechanism="zero")
    _run(torch.nn.Sequential(_linear(1, HIDDEN, INPUTS), hidden, _linear(3, CLASSES, HIDDEN), last), folder, name)


if __name__ == "__main__":
    main(
        {
            "snntorch_lif_hard": partial(_layers, snntorch.Leaky, "zero"),
            "snntorch_lif_soft": partial(_layers, snntorch.Leaky, "subtract"),
            "snntorch_cuba_soft": partial(_layers, snntorch.Synaptic, "subtract", biased=False),
            "snntorch_recurrent": _recurrent,
        }
    )
