"""What a network is to the training, whichever system it is of: outputs, loss, hooks, and groups of parameters.

    outputs      `logits` (B, classes), and by name whatever else the loss reads; samples first
    loss         of a batch; label-smoothed cross entropy unless a system has its own
    start_epoch  is given the training batches (PMR's prototypes)
    modulate     after all gradients of a step are there and unscaled, before they are clipped (OGM-GE, TAAF)
    parts        audio encoder, video encoder, fusion and head: every parameter is in one of them

`progress` is the share of the training that has passed, 0..1, where a method is active in a part of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

from torch import Tensor, nn
from torch.nn import functional

from snnergy.artefacts.types import Labels
from snnergy.training.config.systems import SystemConfig
from snnergy.training.model import neurons
from snnergy.training.model.layers import POPULATIONS

Outputs = dict[str, Tensor]
Batch = tuple[Tensor, Tensor, Tensor]  # video, audio, labels
Group = Literal["audio", "video", "fusion", "head"]

LOGITS = "logits"
ENCODED: tuple[Group, Group] = ("video", "audio")


class Batches(Protocol):
    """Those of an epoch, in a shuffled order; each pass over them makes them again."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Batch]: ...


class System(nn.Module):
    """A network. Stateless between calls: every forward starts from membranes at 0."""

    config: SystemConfig

    def compute(self, video: Tensor, audio: Tensor) -> Outputs:
        """The outputs, from membranes at 0: what a system implements. Arguments are those of `forward`."""
        raise NotImplementedError

    def parts(self) -> dict[Group, Sequence[nn.Module]]:
        """The modules of each group; together they hold every parameter once."""
        raise NotImplementedError

    def outputs(self, video: Tensor, audio: Tensor) -> Outputs:
        """Logits and what else the loss reads, by name. Arguments are those of `forward`, whose hooks run as well."""
        return self(video, audio, everything=True)

    def forward(self, video: Tensor, audio: Tensor, *, everything: bool = False) -> Tensor | Outputs:
        """Images of pixels / 255, zero where there is nothing, to logits.

        Args:
            video: `(T, B, video_channels, H, W)`.
            audio: `(T, B, 1, H, W)`.
            everything: what `outputs` returns, not the logits alone.

        Returns:
            `(B, classes)`.
        """
        neurons.reset(self)
        outputs = self.compute(video, audio)
        return outputs if everything else outputs[LOGITS]

    def loss(self, outputs: Outputs, labels: Tensor, smoothing: float, progress: float) -> Tensor:
        """Of a training batch."""
        return functional.cross_entropy(outputs[LOGITS], labels, label_smoothing=smoothing)

    def start_epoch(self, batches: Batches, progress: float) -> None:
        """Look at the training batches before an epoch begins."""

    def modulate(self, outputs: Outputs, labels: Tensor, progress: float) -> None:
        """Change the gradients of a step."""

    def groups(self) -> dict[Group, list[nn.Parameter]]:
        """The parameters of each group."""
        return {group: [p for part in parts for p in part.parameters()] for group, parts in self.parts().items()}

    def populations(self) -> dict[str, nn.Module]:
        """Every population behind the logits by path, in the order in which the forward pass computes them."""
        return {path: module for path, module in self.named_modules() if isinstance(module, POPULATIONS)}

    def labels(self) -> dict[str, Labels]:
        """Where every population stands, by path: its role, the stage and block in its path, the modality it encodes.

        role: stem, spds, pool; q, k, v, mask, attn; space, time, gate; pair, memory, match, proj; mlp1, mlp2.
        """
        encoders = {module: name for name in ENCODED for part in self.parts()[name] for module in part.modules()}
        return {
            path: Labels(module.role, _number("stage", path), _number("block", path), encoders.get(module, ""))
            for path, module in self.populations().items()
        }


def _number(name: str, path: str) -> int | None:
    found = re.search(rf"(?:^|\.){name}(\d+)(?:\.|$)", path)
    return int(found[1]) if found else None
