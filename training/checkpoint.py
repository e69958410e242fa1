"""checkpoint.pt: a trained network as a dict of plain types and tensors, as `torch.save` packs it.

Keys: format_version, config, state_dict, metrics (numbers and text by name), seed, git_revision, versions; of a
fine-tuned network also scales (how each population is rounded, `artefacts.held_scales`). A file can come from anyone:
it is read by `snnergy.training.torch_archive`, which runs nothing of it, and all of it is checked before a network of
that size is made.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from snnergy.artefacts import kinds
from snnergy.artefacts.errors import UserError
from snnergy.artefacts.files import git_revision, versions
from snnergy.artefacts.held_scales import WEIGHT_BITS, HeldScale, HeldScales
from snnergy.training import torch_archive
from snnergy.training.config import experiment as configs
from snnergy.training.config.data import with_default_cache
from snnergy.training.config.experiment import Config
from snnergy.training.config.types import shown, word
from snnergy.training.model.system import System
from snnergy.training.systems.build import build
from snnergy.training.systems.size import outline

FORMAT_VERSION = 1
_KEYS = frozenset({"format_version", "config", "state_dict", "metrics", "seed", "git_revision", "versions"})
_MAKE_ANOTHER = "train again to make a new one"
_LONGEST_TEXT = 200
_MOST_ENTRIES = 1000
_LARGEST = 1 << 53  # of a number of the scales, whatever it is


@dataclass(frozen=True)
class Checkpoint:
    """What `load` returns; `network` is in evaluation mode, on the CPU. scales: None unless it was fine-tuned."""

    config: Config
    network: System
    metrics: dict[str, Any]
    seed: int
    git_revision: str
    versions: dict[str, str]
    scales: HeldScales | None = None


def save(
    path: Path,
    network: System,
    config: Config,
    metrics: dict[str, Any],
    *,
    scales: HeldScales | None = None,
    force: bool = False,
) -> None:
    """Write a checkpoint whole or not at all.

    Args:
        metrics: numbers and text by name.
        scales: of a network that was fine-tuned for them.

    Raises:
        UserError: `path` exists and `force` is false, or it cannot be written.
    """
    content = {
        "format_version": FORMAT_VERSION,
        "config": configs.to_dict(config),
        "state_dict": {name: tensor.detach().cpu() for name, tensor in network.state_dict().items()},
        "metrics": metrics,
        "seed": config.seed,
        "git_revision": git_revision(),
        "versions": versions(),
    }
    if scales is not None:
        held = {name: (one.scale, one.threshold, list(one.exponents)) for name, one in scales.populations.items()}
        content["scales"] = {"bits": scales.bits, "populations": held}
    torch_archive.write(path, content, force=force)


def load(path: Path) -> Checkpoint:
    """Read a checkpoint and rebuild its network.

    Raises:
        UserError: no such file, damaged, carries code, of another format, too large, or its weights do not fit its
            config.
    """
    path = Path(path)
    content, config = _read(path)
    weights = content["state_dict"]
    _refuse_misfits(path, outline(config.model, f"{path}: config.model"), weights)
    network = build(config.model)
    network.load_state_dict(weights)
    rest = {key: content[key] for key in ("metrics", "seed", "git_revision", "versions")}
    return Checkpoint(config, network.eval(), **rest, scales=_scales(content.get("scales")))


def load_config(path: Path) -> Config:
    """The experiment that a checkpoint was trained by, with the default cache; its weights are not looked at.

    Raises:
        UserError: as `load`.
    """
    config = _read(Path(path))[1]
    return replace(config, data=with_default_cache(config.data))


def _read(path: Path) -> tuple[dict[str, Any], Config]:
    """All of a file but the network, checked, and its config."""
    kinds.require((path, kinds.CHECKPOINT))
    try:
        content = torch_archive.read(path)
    except (torch_archive.Damaged, OSError) as error:
        raise UserError(f"{path}: is damaged or no checkpoint ({error}); copy it again, or {_MAKE_ANOTHER}") from error
    except torch_archive.Forbidden as error:
        raise UserError(
            f"{path}: holds more than tensors and plain types ({error}), which could run code when read: refused; "
            f"{_MAKE_ANOTHER}"
        ) from None
    version = content.get("format_version") if isinstance(content, dict) else None
    if type(version) is not int or version != FORMAT_VERSION:
        raise UserError(
            f"{path}: format_version is {shown(version)}, this release reads {FORMAT_VERSION}; {_MAKE_ANOTHER}"
        )
    lines = [f"{path}: lacks {key!r}; {_MAKE_ANOTHER}" for key in sorted(_KEYS - content.keys())]
    lines += [f"{path}: {shown(key)} is not part of a checkpoint" for key in content.keys() - _KEYS - {"scales"}]
    if lines:
        raise UserError(lines)
    if lines := [f"{path}: {line}; {_MAKE_ANOTHER}" for line in _unsound(content)]:
        raise UserError(lines)
    return content, configs.from_dict(_dated(content["config"]), f"{path}: config")


def _dated(config: Any) -> Any:
    """The config; of a checkpoint from before there was a choice of fusions, with the fixed gate where it has one."""
    model = config.get("model") if isinstance(config, dict) else None
    if not isinstance(model, dict) or "fusion" in model:
        return config
    if (model.get("profile"), model.get("variant")) == ("loihi", "spatiotemporal"):
        return {**config, "model": {**model, "fusion": "fixed_gate"}}
    return {**config, "model": {name: value for name, value in model.items() if name not in configs.GAINS}}


def _unsound(content: dict[str, Any]) -> Iterator[str]:
    """What is wrong with the smaller fields."""
    if type(content["seed"]) is not int or not 0 <= content["seed"] < 1 << 32:
        yield f"seed = {shown(content['seed'])}: must be an integer from 0 to {(1 << 32) - 1}"
    if not _is_text(content["git_revision"]):
        yield f"git_revision = {shown(content['git_revision'])}: must be one short line of text"
    for name, may_be in (("versions", _is_text), ("metrics", _is_figure)):
        table = content[name]
        if not isinstance(table, dict) or len(table) > _MOST_ENTRIES:
            yield f"{name} = {shown(table)}: must be a dict of at most {_MOST_ENTRIES} entries"
            continue
        for key, value in table.items():
            if not _is_text(key) or not may_be(value):
                yield f"{name}[{shown(key)}] = {shown(value)}: must be {_WORDS[name]}"

    if "scales" in content and not _are_scales(content["scales"]):
        yield f"scales = {shown(content['scales'])}: must be bits, and scale, threshold and exponents by population"


def _are_scales(value: Any) -> bool:
    if not isinstance(value, dict) or value.keys() != {"bits", "populations"} or value["bits"] not in WEIGHT_BITS:
        return False
    held = value["populations"]
    return isinstance(held, dict) and len(held) <= _MOST_ENTRIES and all(map(_is_scale, held, held.values()))


def _is_scale(name: Any, held: Any) -> bool:
    if not (_is_text(name) and isinstance(held, tuple) and len(held) == 3 and isinstance(held[2], list)):
        return False
    scale, threshold, exponents = held
    whole = [threshold, *exponents]
    return (
        isinstance(scale, float)
        and 0 < scale < _LARGEST
        and len(exponents) <= _MOST_ENTRIES
        and all(type(number) is int and -_LARGEST < number < _LARGEST for number in whole)
    )


def _scales(stored: Any) -> HeldScales | None:
    if stored is None:
        return None
    held = {
        name: HeldScale(scale, threshold, tuple(e)) for name, (scale, threshold, e) in stored["populations"].items()
    }
    return HeldScales(stored["bits"], held)


_WORDS = {"versions": "one short line of text", "metrics": "a finite number, or one short line of text"}


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST_TEXT and value.isprintable()


def _is_figure(value: Any) -> bool:
    return _is_text(value) or (isinstance(value, int | float) and math.isfinite(value))


def _refuse_misfits(path: Path, network: System, weights: Any) -> None:
    """Raise `UserError` with every weight that is missing, unknown, no number, or other than the config says."""
    if not isinstance(weights, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in weights.values()):
        raise UserError(f"{path}: state_dict is not a dict of tensors; {_MAKE_ANOTHER}")
    wanted = network.state_dict()
    lines = [
        f"{path}: weight {word(name)} is not in the network that its config describes"
        for name in sorted(weights.keys() - wanted.keys(), key=str)
    ]
    for name, tensor in wanted.items():
        if name in weights:
            lines += [f"{path}: weight {name} {line}" for line in _misfit(weights[name], tensor)]
            if name.endswith("running_var") and (weights[name] < 0).any():
                lines.append(f"{path}: weight {name} holds variances below 0")
    lines += [f"{path}: weight {name} is missing" for name in sorted(wanted.keys() - weights.keys())]
    if lines:
        raise UserError([f"{path}: weights and config do not belong together; {_MAKE_ANOTHER}", *lines])


def _misfit(found: torch.Tensor, wanted: torch.Tensor) -> Iterator[str]:
    if found.shape != wanted.shape:
        yield f"has shape {tuple(found.shape)}, its config asks for {tuple(wanted.shape)}"
    elif found.dtype != wanted.dtype:
        yield f"is {found.dtype}, must be {wanted.dtype}"
    elif not torch.isfinite(found).all():
        yield "holds NaN or infinite values"
