"""From layers of one's own to an energy report, without a file in between."""

import nir
import numpy as np
import torch

import snnergy as sn

layers = [torch.nn.Linear(64, 32), torch.nn.Linear(32, 10)]
x, y = torch.rand(100, 8, 64), torch.arange(100) % 10  # (samples, time steps, inputs), classes
nodes = []
for layer in layers:
    weight, bias = (tensor.detach().numpy() for tensor in (layer.weight, layer.bias))
    one = np.ones(len(bias))
    nodes += [nir.Affine(weight, bias), nir.LIF(tau=2 * one, r=one, v_leak=0 * one, v_threshold=0.1 * one)]
net = sn.compile(nir.NIRGraph.from_list(*nodes), calibration=(x, y), dt=1.0)
run = sn.simulate(net, x, labels=y)
print(sn.energy(run, technology="45nm-int8"))
