"""Mutations of bytes, for every format: what a bad disk, a cut transfer or a blind fuzzer does."""

from __future__ import annotations

import random

from tests.fuzz import values


def mutate(rng: random.Random, content: bytes, other: bytes) -> bytes:
    """One mutation; `other` is another file of the corpus, from which parts are taken."""
    if not content:
        return other[: rng.randrange(64)]
    data = bytearray(content)
    place = rng.randrange(len(data))
    length = rng.choice((1, 2, 4, 8, 64, 1024))
    kind = rng.randrange(9)
    if kind == 0:
        for _ in range(rng.choice((1, 1, 4, 32))):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == 1:
        del data[place:]
    elif kind == 2:
        del data[place : place + length]
    elif kind == 3:
        start = rng.randrange(len(other)) if other else 0
        data[place : place + length] = other[start : start + length]
    elif kind == 4:
        data[place:place] = rng.randbytes(length)
    elif kind == 5:
        data[place : place + length] = bytes(min(length, len(data) - place))
    elif kind == 6:
        number = rng.choice((0, 1, 0x7F, 0xFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1))
        data[place : place + 8] = number.to_bytes(8, rng.choice(("little", "big")))
    elif kind == 7:
        data[place : place + length] = b"\xff" * min(length, len(data) - place)
    else:  # a text of the file becomes another of the same length, so that all offsets hold
        text = values.text(rng).encode("utf-8", "surrogatepass")[:length]
        data[place : place + len(text)] = text
    return bytes(data)
