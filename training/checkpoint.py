"""checkpoint.pt: a trained network as a dict of plain types and tensors, read with `weights_only=True` alone.

Keys: format_version, config, state_dict, metrics, seed, git_revision, versions.
"""

from __future__ import annotations

import pickle
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from snnergy.artefacts import kinds
from snnergy.artefacts.errors import UserError
from snnergy.artefacts.files import git_revision, versions, written_whole
from snnergy.training.config import experiment as configs
from snnergy.training.config.experiment import Config
from snnergy.training.model.network import SNNergy

FORMAT_VERSION = 1
_KEYS = frozenset({"format_version", "config", "state_dict", "metrics", "seed", "git_revision", "versions"})
_MAKE_ANOTHER = "train again to make a new one"
# What the readers of zip, of pickle and of torch raise over wrong bytes; NotImplementedError is a RuntimeError and
# UnicodeDecodeError a ValueError.
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, LookupError, OSError, RuntimeError, ValueError)


@dataclass(frozen=True)
class Checkpoint:
    """What `load` returns; `network` is in evaluation mode, on the CPU."""

    config: Config
    network: SNNergy
    metrics: dict[str, Any]
    seed: int
    git_revision: str
    versions: dict[str, str]


def save(path: Path, network: SNNergy, config: Config, metrics: dict[str, Any], *, force: bool = False) -> None:
    """Write a checkpoint whole or not at all.

    Raises:
        UserError: `path` exists and `force` is false.
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
    with written_whole(path, force=force) as scratch:
        torch.save(content, scratch)


def load(path: Path) -> Checkpoint:
    """Read a checkpoint and rebuild its network.

    Raises:
        UserError: no such file, damaged, carries code, of another format, or its weights do not fit its config.
    """
    path = Path(path)
    content = _read(path)
    version = content.get("format_version") if isinstance(content, dict) else None
    if version != FORMAT_VERSION:
        raise UserError(f"{path}: format_version is {version!r}, this release reads {FORMAT_VERSION}; {_MAKE_ANOTHER}")
    if content.keys() != _KEYS:
        lines = [f"{path}: lacks {key!r}; {_MAKE_ANOTHER}" for key in sorted(_KEYS - content.keys())]
        lines += [f"{path}: {key!r} is not part of a checkpoint" for key in sorted(map(str, content.keys() - _KEYS))]
        raise UserError(lines)
    config = configs.from_dict(content["config"], f"{path}: config")
    network = SNNergy(config.model)
    _refuse_misfits(path, network, content["state_dict"])
    network.load_state_dict(content["state_dict"])
    rest = {key: content[key] for key in ("metrics", "seed", "git_revision", "versions")}
    return Checkpoint(config, network.eval(), **rest)


def _read(path: Path) -> Any:
    kinds.require((path, kinds.CHECKPOINT))
    damaged = UserError(f"{path}: is damaged or no checkpoint; copy it again, or {_MAKE_ANOTHER}")
    try:
        if not zipfile.is_zipfile(path):  # the table of contents is at the end, so a cut file has none
            raise UserError(f"{path}: is truncated or no checkpoint at all; copy it again, or {_MAKE_ANOTHER}")
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() or not any(name.endswith("/data.pkl") for name in archive.namelist()):
                raise damaged
        return torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGE as error:
        raise damaged from error
    except pickle.UnpicklingError:
        raise UserError(
            f"{path}: holds more than tensors and plain types, which could run code when read: refused; {_MAKE_ANOTHER}"
        ) from None


def _refuse_misfits(path: Path, network: SNNergy, weights: Any) -> None:
    """Raise `UserError` with every weight that is missing, unknown or of another shape than the config says."""
    if not isinstance(weights, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in weights.values()):
        raise UserError(f"{path}: state_dict is not a dict of tensors; {_MAKE_ANOTHER}")
    wanted = network.state_dict()
    lines = [f"{path}: weight {name} is missing" for name in wanted.keys() - weights.keys()]
    lines += [
        f"{path}: weight {name} is not in the network that its config describes"
        for name in weights.keys() - wanted.keys()
    ]
    lines += [
        f"{path}: weight {name} has shape {tuple(weights[name].shape)}, its config asks for {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in weights and weights[name].shape != tensor.shape
    ]
    if lines:
        raise UserError([*sorted(lines), f"{path}: weights and config do not belong together; {_MAKE_ANOTHER}"])
