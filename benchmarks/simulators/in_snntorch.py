# /// script
# requires-python = ">=3.10,<3.11"
# dependencies = ["snntorch==1.0.0", "torch==2.3.1", "numpy<2"]
# ///
"""snnTorch: `Leaky` with its reset in the same step, one step a call."""

from __future__ import annotations

import snntorch

from benchmarks.simulators.serving import Layer, Peer, Task, serve
from benchmarks.simulators.torch_layers import Fire, layered, step_by_step


def neurons(layer: Layer) -> Fire:
    """One module a layer, which holds its membrane."""
    leaky = snntorch.Leaky(
        layer.kept, threshold=float(layer.threshold), init_hidden=True, reset_mechanism="zero", reset_delay=False
    )
    return step_by_step(leaky, leaky.reset_mem)


def build(task: Task) -> Peer:
    """The network in evaluation."""
    return layered(task, neurons)


if __name__ == "__main__":
    serve(build, "snntorch", "floating point; a call a step")
