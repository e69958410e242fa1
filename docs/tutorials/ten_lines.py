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
    size = len(bias)
    nodes += [
        nir.Affine(weight, bias),
        nir.LIF(tau=np.full(size, 2.0), r=np.ones(size), v_leak=np.zeros(size), v_threshold=np.full(size, 0.1)),
    ]
graph = nir.NIRGraph.from_list(*nodes, nir.Output({"output": np.array([10])}))

net = sn.compile(graph, calibration=x, dt=1.0)
run = sn.simulate(net, x)
report = sn.energy(run, technology="45nm-int8")
print(report)
