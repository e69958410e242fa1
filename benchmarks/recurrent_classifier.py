"""A recurrent classifier from training to chip integers: its accuracy in PyTorch, in float and in 8 bits.

    python -m benchmarks.recurrent_classifier -o benchmarks/results/recurrent_classifier.json

scikit-learn's digits are read row by row, a row of eight pixels a step, each pixel as four lines that spike where it is
bright enough. Beside the network that hears itself stands the same one without the loop. The graph is written as a NIR
file, and read, compiled on training samples and simulated from there.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import nir
import numpy as np
import numpy.typing as npt
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

import snnergy
from benchmarks.results_file import write_rows
from snnergy.artefacts.samples import Samples
from snnergy.neuromorphic.graph.interpret import interpret
from snnergy.neuromorphic.graph.read_nir import read_nir

LEVELS = (2, 5, 8, 12)  # brightness, of 16, from which each of a pixel's lines spikes
HIDDEN, CLASSES = 64, 10
TAU = 2.0
TEST_SAMPLES = 360


class _Spike(torch.autograd.Function):
    """1 above 0; backwards the slope of a fast sigmoid."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradients[0] / (1 + 4 * x.abs()) ** 2


class Classifier(nn.Module):
    """Neurons that hear their own spikes of the step before, and a readout that sums up."""

    def __init__(self, recurrent: bool) -> None:
        """With or without the loop."""
        super().__init__()
        self.entry = nn.Linear(8 * len(LEVELS), HIDDEN)
        self.loop = nn.Linear(HIDDEN, HIDDEN, bias=False) if recurrent else None
        self.readout = nn.Linear(HIDDEN, CLASSES, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of spikes `(N, T, lines)`."""
        v = spikes = x.new_zeros(len(x), HIDDEN)
        total = x.new_zeros(len(x), CLASSES)
        for t in range(x.shape[1]):
            current = self.entry(x[:, t])
            current = current if self.loop is None else current + self.loop(spikes)
            v = v + (current - v) / TAU
            spikes = _Spike.apply(v - 1)
            v = v * (1 - spikes.detach())
            total = total + self.readout(spikes)
        return total


def digits() -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Spikes `(N, 8, lines)` in float32 and classes, in the order of the data set."""
    data = load_digits()
    lines = data.images[:, :, :, None] >= np.array(LEVELS)
    return lines.reshape(len(lines), 8, -1).astype(np.float32), data.target


def train(network: Classifier, x: Tensor, labels: Tensor, epochs: int) -> None:
    """Adam with a learning rate that falls to 0."""
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):
        for chosen in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            functional.cross_entropy(network(x[chosen]), labels[chosen]).backward()
            optimizer.step()
        schedule.step()


def exported(network: Classifier) -> nir.NIRGraph:
    """The network as a NIR graph in steps of 1."""

    def weight(layer: nn.Linear) -> npt.NDArray[Any]:
        return layer.weight.detach().numpy().copy()

    def full(value: float, size: int = HIDDEN) -> npt.NDArray[Any]:
        return np.full(size, value, np.float32)

    nodes: dict[str, nir.NIRNode] = {
        "rows": nir.Input({"input": np.array([8 * len(LEVELS)])}, metadata={"value_class": "binary"}),
        "entry": nir.Affine(weight(network.entry), network.entry.bias.detach().numpy().copy()),
        "hidden": nir.LIF(full(TAU), full(1), full(0), full(1), v_reset=full(0)),
        "readout": nir.Linear(weight(network.readout)),
        "sum": nir.I(full(1, CLASSES)),
        "class": nir.Output({"output": np.array([CLASSES])}),
    }
    names = list(nodes)
    edges = list(pairwise(names))
    if network.loop is not None:
        nodes["loop"] = nir.Linear(weight(network.loop))
        edges += [("hidden", "loop"), ("loop", "hidden")]
    return nir.NIRGraph(nodes, edges, metadata={"dt": 1.0}, type_check=False)


def measure(recurrent: bool, seed: int, epochs: int) -> dict[str, Any]:
    """Train, export, compile and simulate one network."""
    torch.manual_seed(seed)
    x, labels = digits()
    order = np.random.default_rng(seed).permutation(len(x))
    test, training = order[:TEST_SAMPLES], order[TEST_SAMPLES:]
    network = Classifier(recurrent)
    begun = time.process_time()
    train(network, torch.from_numpy(x[training]), torch.from_numpy(labels[training]), epochs)
    seconds = time.process_time() - begun
    with torch.no_grad():
        in_torch = network(torch.from_numpy(x[test])).argmax(1).numpy()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "classifier.nir")
        nir.write(path, exported(network))
        membrane = interpret(read_nir(path), {"rows": x[test]}).values["sum"]
        compiled = snnergy.compile(path, calibration=Samples({"rows": x[training[:256]]}, labels[training[:256]]))
    run = snnergy.simulate(compiled, {"rows": x[test]}, labels=labels[test])
    in_float = membrane[:, -1].argmax(1).numpy()
    return {
        "recurrent": recurrent,
        "seed": seed,
        "test_samples": TEST_SAMPLES,
        "training_cpu_seconds": round(seconds, 1),
        "accuracy_pytorch": round(float((in_torch == labels[test]).mean()), 4),
        "accuracy_float": round(float((in_float == labels[test]).mean()), 4),
        "accuracy_8_bits": round(float(run.accuracy or 0.0), 4),
        "same_prediction": round(float((run.predictions == in_float).mean()), 4),
        "synapses": {f"{s.source} → {s.target}": int(s.operator.weight.size) for s in compiled.net.synapses},
    }


def main() -> None:
    """Both networks for each seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for seed in range(arguments.seeds):
        for recurrent in (True, False):
            rows.append(measure(recurrent, seed, arguments.epochs))
            print(rows[-1], flush=True)
            write_rows(arguments.output, "benchmarks.recurrent_classifier", rows, epochs=arguments.epochs)


if __name__ == "__main__":
    main()
