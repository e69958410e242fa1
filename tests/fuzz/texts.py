"""Mutations of an experiment in YAML: its fields, its form, and what YAML itself can hide."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import yaml

from tests.fuzz import values
from tests.fuzz.canary import Canary

_BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
)
_PLAIN = (
    "9" * 5000, "1e400", "-.inf", ".nan", "0x" + "f" * 400, "1:20:30", "2001-12-14t21:59:43.10-05:00",
    "!!binary aGVsbG8=",
    "!!set {a, b}", "!!timestamp 99999-99-99", "~", "yes", "0o17", "1_000_000_000_000", "[]", "{}", "[1, [2, [3]]]",
    "'x'",
    "&a [*a]", "&b {c: *b}", "!!float 'x'", "!!int ''", "? complex\n  : key", "<<: {a: 1}", "|\n  text\n", "1e-400",
    "-0.0",
    "!!omap [a: 1]", "!!pairs [a: 1]", "!!bool maybe", "!unknown x", "*nowhere", "%TAG", "@", "`", "\t", "0b2", "==",
    "=",
)  # fmt: skip


def mutate(rng: random.Random, path: Path, canary: Canary, times: int) -> list[str]:
    """Change the experiment `times` times; returns what was done."""
    content = yaml.safe_load(path.read_text())
    done = [_field(rng, content) for _ in range(times)]
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=rng.random() < 0.5)
    if rng.random() < 0.45:
        text, what = _form(rng, text, canary)
        done.append(what)
    encoding = rng.choice(("utf-8",) * 12 + ("utf-16", "utf-8-sig", "latin-1", "utf-32"))
    path.write_bytes(text.encode(encoding, "surrogatepass" if encoding == "utf-8" else "replace"))
    return done


def _field(rng: random.Random, content: Any) -> str:
    parent, trail = content, []
    if not isinstance(parent, dict):
        return "nothing"
    while parent:
        key = rng.choice(list(parent))
        trail.append(str(key))
        if not isinstance(parent[key], dict) or rng.random() < 0.1:
            break
        parent = parent[key]
    else:
        return "nothing"
    if key == "root":  # an experiment may name any folder of data
        return "nothing"
    kind = rng.randrange(10)
    if kind == 0:
        del parent[key]
    elif kind == 1:
        parent[values.text(rng)] = parent[key]
    elif kind == 2:
        parent[key] = rng.choice(([parent[key]], {"x": parent[key]}, None, str(parent[key]), [1, 2], "", {}))
    elif kind == 3:
        parent[key] = values.text(rng)
    else:
        number = values.number(rng)
        parent[key] = number if isinstance(number, int | float) else 10**30
    return f"field {kind} {'.'.join(trail)[:60]}"


def _form(rng: random.Random, text: str, canary: Canary) -> tuple[str, str]:
    """What a parser of YAML meets before any field is looked at."""
    lines = text.splitlines()
    place = rng.randrange(len(lines) + 1)
    marker = canary.marker
    kind = rng.randrange(10)
    if kind < 4:
        keyed = [index for index, line in enumerate(lines) if ": " in line]
        if keyed:
            index = rng.choice(keyed)
            lines[index] = f"{lines[index].partition(': ')[0]}: {rng.choice(_PLAIN)}"
        return "\n".join(lines), "plain"
    if kind == 4:
        return rng.choice(
            (_BOMB + text, _BOMB.replace("a0", "name"), text + "\nmore: " + "[" * rng.choice((50, 900, 20_000)))
        ), "bomb"
    if kind == 5:
        call = rng.choice(
            (f"!!python/object/apply:os.system ['touch {marker}']", f"!!python/object/apply:open ['{marker}', 'w']",
             "!!python/name:os.system ''", "!!python/object/new:subprocess.Popen [['true']]", f"!include {canary.text}",
             "!!python/module:this ''")
        )  # fmt: skip
        lines.insert(place, f"x: {call}")
        return "\n".join(lines), "tag"
    if kind == 6:
        lines[place:place] = rng.choice(
            (["---"], ["..."], ["\t"], [": : :"], ["- a"], lines[:3], ["\x00"], ["\x07"], ["{"])
        )
        return "\n".join(lines), "lines"
    if kind == 7:
        return text[: rng.randrange(len(text) + 1)], "cut"
    if kind == 8:
        return rng.choice(
            ("", "null", "[]", "7", "text", "{}", "- 1\n- 2", "{" * 3000, "a: " * 400, "? " * 900, "- " * 5000)
        ), "other"
    return text.replace(rng.choice(lines) if lines else "x", values.text(rng)), "text"
