"""From layers of one's own to an energy report, without a file in between."""

import nir
import numpy as np
import torch

import snnergy as sn

layers = [torch.nn.Linear(64, 32), torch.nn.Linear(32, 10)]
x = torch.rand(100, 8, 64)  # samples, time steps, inputs

nodes = [nir.Input({"input": np.array([64])})]
for layer in layers:
    weight, bias = (tensor.detach().numpy() for tensor in (layer.weight, layer.bias))
    one, zero = np.ones(len(bias)), np.zeros(len(bias))
    nodes += [nir.Affine(weight, bias), nir.LIF(tau=2 * one, r=one, v_leak=zero, v_threshold=0.1 * one)]
graph = nir.NIRGraph.from_list(*nodes, nir.Output({"output": np.array([10])}))

net = sn.compile(graph, calibration=x, dt=1.0)
run = sn.simulate(net, x)
report = sn.energy(run, technology="45nm-int8")
print(report)
