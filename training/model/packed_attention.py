"""Query-key attention on words of spikes, for inference: bit for bit what the modules of `attention` compute.

    words     of a token's channels of one head, 16 to a word, lowest channel first
    mask      LIF of the number of bits in a token's words of q: popcount instead of a sum over a head's channels
    attn      k's words where the mask is 1, else 0: AND
    counts    of each bit over all tokens: what a mean over space is made of
    gate      AND with words that hold a bit for each channel

`fire` writes a population's spikes as words at once, so that the current of a projection is the only tensor in floating
point. Nothing here keeps a state, has a gradient or shows its populations to hooks: for training, export and reports of
activity there are the modules of `attention`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import torch
from numba.extending import intrinsic
from torch import Tensor

from snnergy.training.model.attention import CMQKA, GatedSum, OpenGate, QueryKeyPath
from snnergy.training.model.lif_scan import Neuron

# A head of the publication's network has 12 channels, or a multiple of that.
_BITS = 16
_u = np.uint16
# Neurons that are walked through time while they lie in the first-level cache.
_BLOCK = 2048
# Eights of bytes that are counted side by side, about.
_LANES = 32
_FIRST_BITS = np.uint64(0x0101_0101_0101_0101)
_f = np.float32
_ZERO = _f(0)
# Division by zero gives infinity, as in C: a check of each division would keep loops from being vectorised.
_compiled = numba.njit(cache=True, error_model="numpy")


@dataclass(frozen=True)
class Words:
    """Binary activations `(T, B, C, H, W)`, a bit each.

    words: uint16 `(T, B, H, W, heads, chunks)`; a bit beyond the channels of its head is 0.
    channels: C.
    """

    words: npt.NDArray[np.uint16]
    channels: int

    @property
    def head(self) -> int:
        """Channels of a head."""
        return self.channels // self.words.shape[4]

    @property
    def rows(self) -> npt.NDArray[np.uint16]:
        """`(T, words of one step, chunks)`, where tokens of all samples and their heads lie one after the other."""
        return self.words.reshape(len(self.words), -1, self.words.shape[5])


def _ctpop(_: Any, word: Any) -> Any:
    """Number of bits that are 1, in the word's own type."""
    return word(word), lambda context, builder, signature, arguments: builder.ctpop(arguments[0])


_popcount: Any = intrinsic(_ctpop)


@_compiled
def _attend(q: Any, k: Any, tau: Any, threshold: Any, out: Any) -> None:
    """out ← k where a LIF of the bits in q fires; all `(T, M, chunks)`, one neuron for each of M."""
    steps, neurons, chunks = q.shape
    v = np.empty(_BLOCK, np.float32)
    count = np.empty(_BLOCK, np.float32)
    passes = np.empty(_BLOCK, np.uint16)
    for start in range(0, neurons, _BLOCK):
        length = min(_BLOCK, neurons - start)
        v[:] = _ZERO
        for t in range(steps):
            asking = q[t, start : start + length]
            if chunks == 1:
                for i in range(length):
                    count[i] = _f(_popcount(asking[i, 0]))
            else:
                for i in range(length):
                    bits = 0
                    for j in range(chunks):
                        bits += _popcount(asking[i, j])
                    count[i] = _f(bits)
            # Short loops, because a compiler that must rule out overlaps vectorises only what touches few arrays.
            for i in range(length):
                h = v[i] + (count[i] - v[i]) / tau
                fired = h >= threshold
                passes[i] = _u(0xFFFF) if fired else _u(0)
                v[i] = _ZERO if fired else h
            asked, to = k[t, start : start + length], out[t, start : start + length]
            if chunks == 1:
                for i in range(length):
                    to[i, 0] = asked[i, 0] & passes[i]
            else:
                for i in range(length):
                    for j in range(chunks):
                        to[i, j] = asked[i, j] & passes[i]


@_compiled
def _count(maps: Any, width: int, counts: Any) -> None:
    """counts `(S, width, 8)` ← how many tokens of a map, of `width` bytes each, have the bit.

    maps: `(S, M)`, eight bytes each, which are counted side by side, 255 times at most before a byte is full.
    """
    samples, size = maps.shape
    lanes = _LANES // width + 1
    part = np.empty(lanes * width, np.uint64)
    each = part.view(np.uint8)
    counts[:] = 0
    for s in range(samples):
        for bit in range(8):
            for begin in range(0, size, 255 * part.size):
                part[:] = np.uint64(0)
                for start in range(begin, min(begin + 255 * part.size, size), part.size):
                    row = maps[s, start : min(start + part.size, size)]
                    for i in range(row.size):
                        part[i] += (row[i] >> np.uint64(bit)) & _FIRST_BITS
                for lane in range(8 * lanes):
                    for i in range(width):
                        counts[s, i, bit] += each[lane * width + i]


@_compiled
def _gate(maps: Any, out: Any, passes: Any) -> None:
    """out ← the words of maps `(S, N, M)` where those of passes `(S, M)` have a 1."""
    samples, tokens, words = maps.shape
    for s in range(samples):
        for n in range(tokens):
            for i in range(words):
                out[s, n, i] = maps[s, n, i] & passes[s, i]


@_compiled
def _fire(current: Any, tau: Any, threshold: Any, out: Any) -> None:
    """out `(T, M, chunks)` ← spikes of a LIF; current `(T, M · channels of a head)`."""
    steps, neurons = current.shape
    heads = out.shape[1]
    size = neurons // heads
    whole = max(1, _BLOCK // (4 * size)) * 4  # as many heads as make a block, and their channels whole nibbles
    v = np.empty(whole * size, np.float32)
    fired = np.zeros(whole * size, np.uint8)
    for first in range(0, heads, whole):
        v[:] = _ZERO
        for t in range(steps):
            row = current[t, first * size : min(first + whole, heads) * size]
            for i in range(row.size):
                h = v[i] + (row[i] - v[i]) / tau
                fires = h >= threshold
                fired[i] = fires
                v[i] = _ZERO if fires else h
            _join(fired, size, out[t, first : first + whole])


@_compiled
def _join(bits: Any, size: int, out: Any) -> None:
    """out `(M, chunks)` ← words of bytes that are 0 or 1, `size` for each of M; their number is a multiple of 4."""
    unit = 1
    if size % 4 == 0:  # four bytes become four bits in one product, whose other terms stay below or leave at the top
        unit = 4
        fours = bits.view(np.uint32)
        bits = np.empty(fours.size, np.uint8)
        for i in range(fours.size):
            bits[i] = (fours[i] * np.uint32(1 << 28 | 1 << 21 | 1 << 14 | 1 << 7)) >> np.uint32(28) & np.uint32(15)
    heads, chunks = out.shape
    size, width = size // unit, _BITS // unit
    for m in range(heads):
        for j in range(chunks):
            word = np.uint32(0)
            for i in range(min(width, size - j * width)):
                word |= np.uint32(bits[m * size + j * width + i]) << np.uint32(unit * i)
            out[m, j] = word


@_compiled
def _split(words: Any, out: Any) -> None:
    """out `(M, channels of a head)` ← the bits of `(M, chunks)`."""
    heads, size = out.shape
    for m in range(heads):
        for j in range(words.shape[1]):
            word = words[m, j]
            row = out[m, j * _BITS : min((j + 1) * _BITS, size)]
            for i in range(row.size):
                row[i] = _f((word >> _u(i)) & _u(1))


def _empty(shape: tuple[int, ...], heads: int) -> Words:
    """For activations `(T, B, C, H, W)`."""
    steps, batch, channels, height, width = shape
    chunks = -(-(channels // heads) // _BITS)
    return Words(np.empty((steps, batch, height, width, heads, chunks), np.uint16), channels)


def _channels_last(x: Tensor) -> Any:
    """`(T, B, C, H, W)` as an array `(T, B, H, W, C)`."""
    return x.movedim(2, -1).contiguous().numpy()


def _padded(rows: npt.NDArray[np.uint8], multiple: int) -> npt.NDArray[np.uint8]:
    """Rows as long as the next multiple, with zeros."""
    missing = -rows.shape[1] % multiple
    return np.pad(rows, ((0, 0), (0, missing))) if missing else rows


def pack(spikes: Tensor, heads: int) -> Words:
    """Words of binary activations `(T, B, C, H, W)`; heads: runs of channels that share a word."""
    packed = _empty(tuple(spikes.shape), heads)
    bits = _padded((_channels_last(spikes) != 0).view(np.uint8).reshape(1, -1), 4)[0]
    _join(bits, packed.head, packed.words.reshape(-1, packed.words.shape[5]))
    return packed


def unpack(packed: Words) -> Tensor:
    """Binary activations `(T, B, C, H, W)`, float32, channels innermost in memory."""
    spikes = torch.empty((*packed.words.shape[:4], packed.channels))
    _split(packed.words.reshape(-1, packed.words.shape[5]), spikes.numpy().reshape(-1, packed.head))
    return spikes.movedim(-1, 2)


def fire(current: Tensor, neuron: Neuron, heads: int) -> Words:
    """Spikes of a LIF population from a cleared state, as `neurons.LIF` has them.

    Args:
        current: `(T, B, C, H, W)`, float32 on a CPU, best with channels innermost in memory.
        neuron: its constants.
        heads: runs of channels that share a word.
    """
    tau, threshold, _ = neuron.rounded()
    packed = _empty(tuple(current.shape), heads)
    _fire(_channels_last(current).reshape(len(current), -1), tau, threshold, packed.rows)
    return packed


def query_key(q: Words, k: Words, mask: Neuron) -> Words:
    """`attn`, from words of query and key of one shape; mask: constants of the mask's neurons."""
    tau, threshold, _ = mask.rounded()
    attn = np.empty_like(q.words)
    _attend(q.rows, k.rows, tau, threshold, replace(q, words=attn).rows)
    return replace(k, words=attn)


def counts(packed: Words) -> Tensor:
    """Spikes of each channel over all positions, int32 `(T, B, C)`."""
    steps, batch, *_, heads, chunks = packed.words.shape
    width = heads * chunks * _BITS // 8
    found = np.empty((steps * batch, width, 8), np.int32)
    maps = packed.words.view(np.uint8).reshape(steps * batch, -1)
    _count(_padded(maps, 8).view(np.uint64), width, found)
    found = found.reshape(steps, batch, heads, -1)[..., : packed.head]
    return torch.from_numpy(found.reshape(steps, batch, packed.channels))


def gate(packed: Words, spikes: Tensor) -> Words:
    """AND with spikes of each channel, binary `(T, B, C, 1, 1)`."""
    steps, batch, *_, heads, chunks = packed.words.shape
    passes = pack(spikes, heads).words.reshape(steps * batch, heads * chunks)
    gated = np.empty_like(packed.words)
    shape = steps * batch, -1, heads * chunks
    _gate(packed.words.reshape(shape), gated.reshape(shape), passes)
    return replace(packed, words=gated)


def attend(attention: CMQKA, asking: Tensor, asked: Tensor) -> Tensor:
    """`attention.attend` with a gate that is learned, in evaluation mode: the same F, bit for bit."""
    fusion = attention.fusion
    assert isinstance(fusion, OpenGate)  # or a gated sum, which has one
    spatial, temporal = (_path(path, asking, asked) for path in (attention.spatial, attention.temporal))
    mean = counts(spatial) / asking[0, 0, 0].numel()
    # The mean of a map of one position is that position.
    gated = unpack(gate(temporal, fusion.space(fusion.mean(mean[..., None, None]))))
    return unpack(spatial) + gated if isinstance(fusion, GatedSum) else gated


def _path(path: QueryKeyPath, asking: Tensor, asked: Tensor) -> Words:
    q = fire(path.q_proj(asking), path.q.constants, path.heads)
    k = fire(path.k_proj(asked), path.k.constants, path.heads)
    return query_key(q, k, path.mask.constants)
