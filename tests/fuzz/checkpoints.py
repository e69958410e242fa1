"""Mutations of torch files: what they hold, the archive, the pickle in it, and files that run code when read."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from tests.fuzz import archives, raw_bytes, values
from tests.fuzz.canary import Canary


def mutate(rng: random.Random, path: Path, canary: Canary, times: int) -> list[str]:
    """Change what a torch file holds, or the archive and the pickle that hold it; returns what was done."""
    kind = rng.random()
    if kind < 0.65:
        content = torch.load(path, map_location="cpu", weights_only=False)
        done = [_content(rng, content, canary) for _ in range(times)]
        with suppress(Exception):
            torch.save(content, path, _use_new_zipfile_serialization=rng.random() < 0.95)
        return done
    if kind < 0.75:
        return [_other_format(rng, path, canary)]
    members = archives.read(path)
    done = [_member(rng, members) for _ in range(times)]
    archives.write(path, members, compressed=rng.random() < 0.2)
    return done


def _content(rng: random.Random, content: Any, canary: Canary) -> str:
    """Walk down to somewhere, and put something else there."""
    parent, trail = content, []
    while True:
        if isinstance(parent, dict) and parent:
            key = rng.choice(list(parent))
        elif isinstance(parent, list) and parent:
            key = rng.randrange(len(parent))
        else:
            return "nothing"
        trail.append(str(key))
        if not isinstance(parent[key], dict | list) or not parent[key] or rng.random() < 0.15:
            break
        parent = parent[key]
    kind = rng.randrange(10)
    if kind == 0:
        del parent[key]
    elif kind == 1 and isinstance(parent, dict):
        parent[_key(rng)] = parent.pop(key)
    elif kind == 2 and isinstance(parent, dict):
        parent[_key(rng)] = _thing(rng, parent[key], canary)
    else:
        parent[key] = _thing(rng, parent[key], canary)
    return f"content {kind} {'.'.join(trail)}"


def _key(rng: random.Random) -> Any:
    return rng.choice((values.text(rng), values.number(rng), None, ("a", 1), b"x", "state_dict", "format_version"))


def _thing(rng: random.Random, old: Any, canary: Canary) -> Any:
    if isinstance(old, torch.Tensor) and rng.random() < 0.8:
        return _tensor(rng, old)
    nest: Any = []
    for _ in range(rng.choice((3, 60, 900))):
        nest = [nest]
    cycle: dict[str, Any] = {}
    cycle["self"] = cycle
    choices: tuple[Any, ...] = (
        values.number(rng), values.number(rng), values.text(rng), values.text(rng), None, [], {}, (), b"bytes", {1,
        2}, nest,
        cycle, [old] * 3, {"a": old}, -old if isinstance(old, int | float) else old, 10**400, torch.zeros(3),
        torch.Size([1]),
        torch.float32, torch.nn.Parameter(torch.ones(2)), values.Payload(canary.marker, rng.randrange(5)),
        bytearray(b"x"),
    )  # fmt: skip
    return rng.choice(choices)


def _tensor(rng: random.Random, old: torch.Tensor) -> Any:
    """A tensor of the same shape with other numbers, or another shape, type, layout or storage."""
    plain = old.detach().clone()
    number = values.number(rng)
    kind = rng.randrange(16)
    if kind < 5:
        with suppress(Exception):
            plain.view(-1)[rng.randrange(max(1, plain.numel()))] = complex(number).real
        return plain
    made: tuple[Callable[[], Any], ...] = (
        lambda: torch.full(old.shape, float(complex(number).real), dtype=torch.float64),
        lambda: plain.to(rng.choice((torch.float16, torch.bfloat16, torch.float64, torch.int8, torch.bool,
        torch.complex64))),
        lambda: plain[None],
        lambda: plain.reshape(-1)[:0],
        lambda: torch.zeros(1).expand(rng.choice((10**6, 10**9, 2**40))),
        lambda: torch.zeros(1, dtype=plain.dtype).expand(old.shape or (1,)),
        lambda: plain.to_sparse(),
        lambda: torch.quantize_per_tensor(plain.float(), 0.1, 0, torch.qint8),
        lambda: torch.nn.Parameter(plain.float()),
        lambda: plain.to("meta"),
        lambda: torch.empty(rng.choice((0, 2, 10**4))).requires_grad_(),
    )  # fmt: skip
    try:
        return made[kind - 5]()
    except Exception:
        return plain.flatten()


def _other_format(rng: random.Random, path: Path, canary: Canary) -> str:
    kind = rng.randrange(6)
    content = torch.load(path, map_location="cpu", weights_only=False)
    payload = values.Payload(canary.marker, rng.randrange(5))
    if kind == 0:
        path.write_bytes(pickle.dumps({"format_version": 1, "x": payload}, protocol=rng.randrange(6)))
    elif kind == 1:
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(path))
    elif kind == 2:
        torch.save(payload, path)
    elif kind == 3:
        torch.save(torch.nn.Linear(2, 2), path)
    elif kind == 4:
        torch.save(content, path, _use_new_zipfile_serialization=False)
    else:
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(path))
        more = [("archive/data.pkl.py", b"raise SystemExit"), ("archive/constants.pkl", b"N.")]
        archives.write(path, [*archives.read(path), *more])
    return f"format {kind}"


_BOMBS = (
    b"\x80\x02" + b"]" * 200_000 + b".", b"\x80\x02" + b"(" * 200_000 + b".", b"\x80\x02I" + b"9" * 9000 + b"\n.",
    b"\x80\x02\x8a\xff" + b"\x7f" * 255 + b".", b"\x80\x02cos\nsystem\n(X\x04\x00\x00\x00true\x85R.",
    b"\x80\x02cbuiltins\neval\nX\x04\x00\x00\x00exit\x85R.", b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.",
    b"\x80\x02Q.", b"\x80\x02h\x05.", b"\x80\x02}r\xff\xff\xff\x7f.", b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.",
    b"\x80\x02ccollections\nOrderedDict\n)R}b.", b"\x80\x05\x96\x00\x00\x00\x00\x00\x00\x00\x40.", b"",
)  # fmt: skip


def _member(rng: random.Random, members: archives.Members) -> str:
    """An archive whose members do not fit each other."""
    pickled = [index for index, (name, _) in enumerate(members) if name.endswith(".pkl")]
    place = rng.choice(pickled) if pickled and rng.random() < 0.5 else rng.randrange(len(members))
    name, content = members[place]
    kind = rng.randrange(9)
    if kind == 0 and len(members) > 1:
        del members[place]
    elif kind == 1:
        members[place] = (name, content[: rng.randrange(len(content) + 1)])
    elif kind == 2:
        members.append((name, b"another of the same name"))
    elif kind == 3:
        members.append(
            (rng.choice(("../outside", "/outside", "x/data.pkl", "archive/code/a.py", "constants.pkl")), b"x")
        )
    elif kind == 4:
        members[place] = (f"{values.text(rng, name=True)[:200]}/{name.rpartition('/')[2]}", content)
    elif kind == 5 and pickled:
        members[rng.choice(pickled)] = (members[pickled[0]][0], rng.choice(_BOMBS))
    elif kind == 6:
        members[place] = (name, content * rng.choice((2, 3)))
    else:
        members[place] = (name, raw_bytes.mutate(rng, content, content))
    return f"member {kind} {name[:40]}"
