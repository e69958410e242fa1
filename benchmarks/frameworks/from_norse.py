"""Norse: the LIF box neuron with its parameters given as vectors, alone writable; exported by norse.torch.utils."""

from __future__ import annotations

from pathlib import Path

import nir
import norse.torch as norse
import numpy as np
import torch
from norse.torch.utils.export_nir import to_nir

from benchmarks.frameworks.common import CLASSES, HIDDEN, INPUTS, bias, main, save, spikes, weight

_DT = 0.001  # Norse's own


def _linear(seed: int, outputs: int, inputs: int) -> torch.nn.Linear:
    layer = torch.nn.Linear(inputs, outputs)
    layer.weight.data = torch.from_numpy(10 * weight(seed, outputs, inputs))  # an input counts dt · tau_mem_inv
    layer.bias.data = torch.from_numpy(bias(seed + 1, outputs))
    return layer


def _box(count: int) -> torch.nn.Module:
    return norse.LIFBoxCell(
        p=norse.LIFBoxParameters(
            tau_mem_inv=torch.full((count,), 200.0),
            v_leak=torch.zeros(count),
            v_th=torch.ones(count),
            v_reset=torch.zeros(count),
        ),
        dt=_DT,
    )


def _lif_box(folder: Path, name: str) -> None:
    net = norse.SequentialState(_linear(1, HIDDEN, INPUTS), _box(HIDDEN), _linear(3, CLASSES, HIDDEN), _box(CLASSES))
    x = spikes(INPUTS)
    state, out = None, []
    with torch.no_grad():
        for t in range(x.shape[1]):
            z, state = net(torch.from_numpy(x[:, t]).float(), state)
            out.append(z)
    nir.write(str(folder / f"{name}.nir"), to_nir(net, torch.zeros(1, INPUTS), dt=_DT))
    save(folder, name, "input", x, np.asarray(torch.stack(out, 1).numpy()))


if __name__ == "__main__":
    main({"norse_lif_box": _lif_box})
