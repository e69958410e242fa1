"""Compares a NIR graph with the PyTorch network that it was exported from, spike for spike, one population at a time.

Hooks record what every population of the network emits (evaluation mode, float32). The graph is interpreted on the
same inputs, and every node receives the network's spikes, not those of the graph before it: each node is checked
on its own, and one difference does not spread to the rest. A spike that differs is

    a tie          where the graph's membrane is so near its threshold that float32 rounding decides:
                   |v − threshold| <= TIE · Σ|x|, Σ|x| the magnitudes added up in v (see `rounding`)
    a mismatch     everywhere else; an exact graph has none

After either, this neuron's membrane differs for a good reason until the sample ends: its later steps are counted as
`after_tie` and not compared. The logits are compared too: a difference above TIE · Σ|x|, of the sample's class with the
largest sum, is a mismatch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import nir
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from snnergy.artefacts.budget import memory
from snnergy.artefacts.errors import UserError
from snnergy.artefacts.samples import MODALITIES
from snnergy.export.rounding import magnitude
from snnergy.neuromorphic.graph.interpret import Trace, interpret
from snnergy.neuromorphic.graph.source import NirSource
from snnergy.training.model.system import System
from snnergy.training.systems.size import sample_bytes

# The largest difference of two membranes that was seen between PyTorch and the interpreter, on networks of 24 to 96
# channels with random weights, was 6.1 · 2⁻²⁴ · Σ|x|. Twice that, rounded up: about 1e-6 of what is added up.
TIE = 16 * 2.0**-24
_MOST_AT_ONCE = 16  # samples; more are not faster


@dataclass(frozen=True)
class NodeParity:
    """One population, or the output.

    Attributes:
        name: of the node.
        values: compared: samples · steps · neurons, less `after_tie`; of the output samples · classes.
        mismatches: values that differ by more than rounding explains.
        ties: spikes that differ within it.
        after_tie: values left out because the neuron differed at an earlier step of the sample.
        tie_distance: largest |membrane − threshold| among the ties, in model units.
    """

    name: str
    values: int
    mismatches: int
    ties: int = 0
    after_tie: int = 0
    tie_distance: float = 0.0

    def __add__(self, other: NodeParity) -> NodeParity:
        return NodeParity(
            self.name,
            self.values + other.values,
            self.mismatches + other.mismatches,
            self.ties + other.ties,
            self.after_tie + other.after_tie,
            max(self.tie_distance, other.tie_distance),
        )


@dataclass(frozen=True)
class Parity:
    """How a graph compares with its network.

    Attributes:
        nodes: each population in the order of the forward pass, then the output.
        samples: compared.
        prediction_agreement: share of samples with the same class, each node on the network's spikes.
        worst_logit_difference: likewise, absolute.
        end_to_end_agreement: share of samples with the same class, each node on the graph's own spikes.
    """

    nodes: tuple[NodeParity, ...]
    samples: int
    prediction_agreement: float
    worst_logit_difference: float
    end_to_end_agreement: float

    @property
    def total(self) -> NodeParity:
        """All nodes together."""
        return sum(self.nodes, NodeParity("total", 0, 0))

    def __str__(self) -> str:
        total = self.total
        return (
            f"parity with PyTorch: {total.values} values of {len(self.nodes)} nodes on {self.samples} samples, "
            f"{total.mismatches} mismatches, {total.ties} ties at a threshold; same prediction end to end: "
            f"{self.end_to_end_agreement:.2%}"
        )

    @property
    def mismatches(self) -> int:
        """Of all nodes; 0 where the graph is faithful."""
        return self.total.mismatches


@dataclass(frozen=True)
class _Batch:
    """Rows of the samples: each node, the logits of the network, of the forced graph and of the free one."""

    nodes: tuple[NodeParity, ...]
    network: Tensor
    forced: Tensor
    free: Tensor


def parity(
    network: System, source: NirSource, inputs: Mapping[str, npt.NDArray[np.float32]], batch_size: int | None = None
) -> Parity:
    """Compare `source` with `network`.

    Args:
        network: on the CPU; its mode is restored.
        source: a graph by `to_nir`.
        inputs: video and audio `(N, T, C, H, W)`, float32, pixel / 255.
        batch_size: samples at once, which does not change the counts; None takes what the budget of memory allows, 16
            at most.

    Raises:
        UserError: the inputs do not fit the network, or the graph has other populations.
    """
    _refuse_strangers(network, source)
    refuse_misfits(network, inputs)
    samples = len(inputs["video"])
    if batch_size is None:
        batch_size = max(1, min(_MOST_AT_ONCE, memory() // sample_bytes(network.config)))
    batched = (slice(start, start + batch_size) for start in range(0, samples, batch_size))
    with torch.inference_mode():
        batches = [_compare(network, source, {name: inputs[name][rows] for name in MODALITIES}) for rows in batched]
    logits, forced, free = (torch.cat([getattr(b, field) for b in batches]) for field in ("network", "forced", "free"))
    return Parity(
        nodes=tuple(sum(rest, first) for first, *rest in zip(*(b.nodes for b in batches), strict=True)),
        samples=samples,
        prediction_agreement=_agreement(logits, forced),
        worst_logit_difference=(logits - forced).abs().max().item(),
        end_to_end_agreement=_agreement(logits, free),
    )


def refuse_misfits(network: System, inputs: Mapping[str, npt.NDArray[np.float32]]) -> None:
    """Raise `UserError` with everything about `inputs` that `network` cannot take."""
    config = network.config
    violations = [f"samples: {name!r} is missing; give video and audio" for name in MODALITIES if name not in inputs]
    for name, channels in zip(MODALITIES, (config.video_channels, 1), strict=True):
        if name not in inputs:
            continue
        wanted, found = (config.time_steps, channels, config.image_size, config.image_size), inputs[name]
        if found.shape[1:] != wanted or len(found) == 0:
            violations.append(f"samples: {name!r} has shape {found.shape}; give N > 0 samples of shape {wanted} each")
        if found.dtype != np.float32:
            violations.append(f"samples: {name!r} is {found.dtype}; give float32, pixel / 255")
        elif not np.isfinite(found).all():
            violations.append(f"samples: {name!r} holds NaN or infinite values; give pixel / 255, in 0..1")
    counts = {name: len(inputs[name]) for name in MODALITIES if name in inputs}
    if len(set(counts.values())) > 1:
        violations.append(f"samples: {counts} are different numbers of samples; give the same ones of both")
    if violations:
        raise UserError(violations)


def _refuse_strangers(network: System, source: NirSource) -> None:
    populations, nodes = set(network.populations()), set(source.of_kind("neuron"))
    violations = [f"{source.name}: node {name!r} is missing" for name in sorted(populations - nodes)]
    violations += [
        f"{source.name}: node {name!r} is no population of the network" for name in sorted(nodes - populations)
    ]
    outputs = source.of_type(nir.Output)
    if len(outputs) != 1:
        violations.append(f"{source.name}: has {len(outputs)} outputs ({', '.join(outputs)}), the network has one")
    if violations:
        raise UserError([*violations, f"{source.name}: is the graph of another network; export this one again"])


def _agreement(a: Tensor, b: Tensor) -> float:
    return (a.argmax(dim=1) == b.argmax(dim=1)).float().mean().item()


def _compare(network: System, source: NirSource, inputs: dict[str, npt.NDArray[np.float32]]) -> _Batch:
    (output,) = source.of_type(nir.Output)
    recorded, logits = _record(network, inputs)
    values = recorded | {name: torch.from_numpy(x) for name, x in inputs.items()}
    forced = interpret(source, inputs, forced=recorded)
    free = interpret(source, inputs, keep=frozenset({output})).values[output][:, -1]
    nodes = [_compare_spikes(source, name, values, forced) for name in network.populations()]
    at_end = forced.values[output][:, -1]
    rounding = TIE * magnitude(source, output, values)[:, -1].amax(dim=1, keepdim=True)
    agrees = (at_end - logits).abs() <= rounding
    nodes.append(NodeParity(output, logits.numel(), int((~agrees).sum())))
    return _Batch(tuple(nodes), logits, at_end, free)


def _compare_spikes(source: NirSource, name: str, values: dict[str, Tensor], forced: Trace) -> NodeParity:
    differs = forced.values[name] != values[name]
    if not differs.any():
        return NodeParity(name, differs.numel(), 0)
    earlier = differs.cumsum(dim=1) - differs.int()  # differences at the steps before
    first = differs & (earlier == 0)
    threshold = torch.from_numpy(source.nodes[name].v_threshold)
    distance = (forced.membrane[name] - threshold).abs()
    ties = first & (distance <= TIE * magnitude(source, name, values))
    after = int((earlier > 0).sum())
    return NodeParity(
        name,
        values=differs.numel() - after,
        mismatches=int((first & ~ties).sum()),
        ties=int(ties.sum()),
        after_tie=after,
        tie_distance=distance[ties].max().item() if ties.any() else 0.0,
    )


def _record(network: System, inputs: dict[str, npt.NDArray[np.float32]]) -> tuple[dict[str, Tensor], Tensor]:
    """What every population emits, `(N, T, *shape)`, and the logits `(N, classes)`."""
    recorded: dict[str, Tensor] = {}
    video, audio = (torch.from_numpy(inputs[name]).transpose(0, 1) for name in MODALITIES)
    with _evaluating(network), _hooked(network.populations().items(), recorded):
        logits = network(video, audio)
    return recorded, logits


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)


@contextmanager
def _hooked(populations: Iterable[tuple[str, nn.Module]], recorded: dict[str, Tensor]) -> Iterator[None]:
    """Store in `recorded` what each population emits within the block, samples first."""

    def keep(name: str, spikes: Tensor) -> None:
        recorded[name] = spikes.transpose(0, 1).contiguous()

    hooks = [
        module.register_forward_hook(lambda _module, _inputs, spikes, name=name: keep(name, spikes))
        for name, module in populations
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
