"""NeuroBench's synaptic operations, an independent implementation, against the ledger."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="NeuroBench counts on torch modules")
workload = pytest.importorskip("neurobench.metrics.workload", reason="NeuroBench is not installed here")

from neurobench.models import TorchModel  # noqa: E402
from torch import nn  # noqa: E402

from snnergy.energy import count, read_activity  # noqa: E402
from tests.energy.activity_files import Edge, Node, write_activity  # noqa: E402

STEPS, SAMPLES = 4, 3


class Spike(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x > 0.5).float()


class Recorder(nn.Module):
    """Two convolutions and a dense layer with spikes between, run one step at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 4, 3, padding=1, bias=False)
        self.second = nn.Conv2d(4, 3, 3, stride=2, padding=1, bias=False)
        self.last = nn.Linear(3 * 4 * 4, 5, bias=False)
        self.spike = Spike()
        self.sent: list[list[torch.Tensor]] = [[], [], []]

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        for step in range(frames.shape[1]):
            x = frames[:, step]
            for sent, layer in zip(self.sent, (self.first, self.second, self.last), strict=True):
                x = x.flatten(1) if layer is self.last else x
                sent.append(x)
                x = layer(x)
                x = self.spike(x)
        return x


def test_effective_and_dense_counts_agree(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = Recorder()
    frames = (torch.rand(SAMPLES, STEPS, 2, 8, 8) < 0.4).float()
    model = TorchModel(net)
    model.register_hooks()
    with torch.no_grad():
        predictions = model(frames)
    metric = workload.SynapticOperations()
    theirs = metric(model, predictions, (frames, torch.zeros(SAMPLES)))
    model.cleanup_hooks()

    values = [torch.stack(sent, dim=1).numpy().astype(np.uint8) for sent in net.sent]
    layers = [layer.weight.detach().numpy() for layer in (net.first, net.second, net.last)]
    assert all((weight != 0).all() for weight in layers)
    nodes = [
        Node("input", values[0], kind="input"),
        Node("first", values[1]),
        Node("second", values[2].reshape(SAMPLES, STEPS, 3, 4, 4)),
        Node("last", kind="readout", value_class="integer", shape=(5,)),
    ]
    edges = [
        Edge("input", "first", layers[0], padding=1),
        Edge("first", "second", layers[1], stride=2, padding=1),
        Edge("second", "last", layers[2]),
    ]
    run = read_activity(write_activity(tmp_path / "activity.h5", nodes, edges))
    ledger = count(run)
    assert ledger.per_sample("ac").mean() == pytest.approx(theirs["Effective_ACs"], rel=1e-12)
    assert theirs["Effective_MACs"] == 0
    assert sum(edge.taps for edge in run.edges) * STEPS == pytest.approx(theirs["Dense"], rel=1e-12)
