"""SpikingJelly 2: LIF, a convolution with average pooling, current-based LIF; exported by nir_exchange."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from spikingjelly.activation_based import functional, layer, neuron
from spikingjelly.activation_based.nir_exchange import export_to_nir

from benchmarks.frameworks.common import CLASSES, HIDDEN, INPUTS, MAPS, SIDE, main, save, spikes, weight

_DT = 1e-4  # as the exporter takes it


def _linear(seed: int, outputs: int, inputs: int) -> torch.nn.Module:
    made = layer.Linear(inputs, outputs, bias=False)
    made.weight.data = torch.from_numpy(weight(seed, outputs, inputs))
    return made


def _run(net: torch.nn.Module, shape: tuple[int, ...], folder: Path, name: str) -> None:
    x = spikes(*shape)
    with torch.no_grad():
        out = torch.stack([net(torch.from_numpy(x[:, t]).float()) for t in range(x.shape[1])], 1)
        functional.reset_net(net)
        graph = export_to_nir(net, torch.zeros(1, *shape), save_path=str(folder / f"{name}.nir"), dt=_DT)
    key = next(node for node, value in graph.nodes.items() if type(value).__name__ == "Input")
    save(folder, name, key, x, np.asarray(out.numpy()))


def _lif(folder: Path, name: str) -> None:
    net = torch.nn.Sequential(
        _linear(1, HIDDEN, INPUTS),
        neuron.LIFNode(tau=2.0, decay_input=False),
        _linear(3, CLASSES, HIDDEN),
        neuron.LIFNode(tau=2.0, decay_input=False),
    )
    _run(net, (INPUTS,), folder, name)


def _convolution(folder: Path, name: str) -> None:
    conv = layer.Conv2d(2, MAPS, 3, padding=1, bias=False)
    conv.weight.data = torch.from_numpy(weight(11, MAPS, 2, 3, 3))
    net = torch.nn.Sequential(
        conv,
        neuron.IFNode(),
        layer.AvgPool2d(2),
        layer.Flatten(),
        _linear(13, CLASSES, MAPS * (SIDE // 2) ** 2),
        neuron.IFNode(),
    )
    _run(net, (2, SIDE, SIDE), folder, name)


def _cuba(folder: Path, name: str) -> None:
    def node() -> torch.nn.Module:
        return neuron.CUBALIFNode(c_decay=0.6, v_decay=0.8)

    _run(
        torch.nn.Sequential(_linear(1, HIDDEN, INPUTS), node(), _linear(3, CLASSES, HIDDEN), node()),
        (INPUTS,),
        folder,
        name,
    )


if __name__ == "__main__":
    main({"spikingjelly_lif": _lif, "spikingjelly_conv": _convolution, "spikingjelly_cuba": _cuba})
