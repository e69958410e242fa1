"""sinabs: IAF with one spike and reset, IAF and LIF with several and subtraction, its own; exported by sinabs.nir."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import nir
import numpy as np
import sinabs.layers as sl
import torch
from sinabs.activation import MembraneReset, SingleSpike
from sinabs.nir import to_nir

from benchmarks.frameworks.common import CLASSES, HIDDEN, INPUTS, bias, main, save, spikes, weight


def _linear(seed: int, outputs: int, inputs: int, gain: float) -> torch.nn.Linear:
    layer = torch.nn.Linear(inputs, outputs)
    layer.weight.data = torch.from_numpy(weight(seed, outputs, inputs, gain=gain))
    layer.bias.data = torch.from_numpy(bias(seed + 1, outputs))
    return layer


def _layers(neuron: Callable[[], torch.nn.Module], folder: Path, name: str, *, gain: float = 2.0) -> None:
    """An input of LIF counts a twentieth, hence the gain. The exporter keeps the batch's time axis in its Input."""
    net = torch.nn.Sequential(_linear(1, HIDDEN, INPUTS, gain), neuron(), _linear(3, CLASSES, HIDDEN, gain), neuron())
    x = spikes(INPUTS)
    out = []
    with torch.no_grad():
        for sample in x:
            for module in net:
                if hasattr(module, "reset_states"):
                    module.reset_states()
            out.append(net(torch.from_numpy(sample[None]).float())[0].numpy())
        graph = to_nir(net, torch.from_numpy(x[:1]).float())
    nir.write(str(folder / f"{name}.nir"), graph)
    save(folder, name, "input", x, np.asarray(out))


if __name__ == "__main__":
    single = {"spike_fn": SingleSpike, "reset_fn": MembraneReset()}
    main(
        {
            "sinabs_iaf_hard": partial(_layers, partial(sl.IAF, **single)),
            "sinabs_iaf_many": partial(_layers, sl.IAF),
            "sinabs_lif": partial(_layers, partial(sl.LIF, tau_mem=20.0), gain=20.0),
        }
    )
