"""Synaptic events: what each spike of a source adds to the sums of its targets, and how many synapses it reaches.

Spikes lie in bytes of 0 and 1, `(N, T, row)`, each row filled up with zeros to whole words of eight, so that silent
neurons are skipped eight at a time. Maps lie channels last: all channels of a pixel are neighbours, and so are the
weights of one source channel, for every tap of the kernel and every target channel.

Weights are added up in 16 bits before they meet the sums of 32: at most `TOGETHER` of them, none beyond `WIDEST`.

Every kernel takes the source's steps `first` to `last` of all samples, adds what they bring to `a_in`
`(N, steps, targets)` from its step `at` on, and adds to `counts` `(N, T, 2)` how many synapses the spikes of each step
meet. `reach` `(2, row)` int32 holds these of each source: all, and those of a weight other than zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from snnergy.neuromorphic.emulator.kernels.compiled import compiled

WIDEST = 256  # |weight|, as a stock file may hold it
TOGETHER = 127  # rows of such weights within 16 bits
WORD = 8  # bytes

_FEW = 40  # neurons to a spike: fewer than that, and looking at each costs less than a branch for each
_STRETCH = 1024  # neurons whose synapses are counted in 32 bits
_one = np.uint64(1)
# Multiplied with a word that has the lowest bit of one byte set, it moves that byte's index into the top three bits.
_index_of_byte = np.uint64(sum(byte << (61 - 8 * byte) for byte in range(WORD)))
_top_three = np.uint64(61)


@compiled
def find_events(row: Any, found: Any, expected: int) -> Any:
    """Write the indices of the spikes in `row` to `found`, rising, and return how many there are.

    expected: about how many there may be. Few are best looked for word by word, many without asking.
    """
    count = 0
    if expected * _FEW > row.size:
        for i in range(row.size):
            found[count] = i
            count += row[i]
        return count
    words = row.view(np.uint64)
    for k in range(words.size):
        word = words[k]
        while word != 0:
            lowest = word & (~word + _one)
            found[count] = WORD * k + np.int64((lowest * _index_of_byte) >> _top_three)
            count += 1
            word ^= lowest
    return count


@compiled
def _add_rows(total: Any, rows: Any, chosen: Any, first: int, last: int) -> None:
    """Set `total` (int16) to the sum of `rows[chosen[first:last]]`, at least one and at most TOGETHER of them."""
    k = first + 1
    a = rows[chosen[first]]
    if k < last:
        b = rows[chosen[k]]
        k += 1
        for j in range(total.size):
            total[j] = np.int16(np.int16(a[j]) + np.int16(b[j]))
    else:
        for j in range(total.size):
            total[j] = np.int16(a[j])
    while k + 4 <= last:
        a, b, c, d = rows[chosen[k]], rows[chosen[k + 1]], rows[chosen[k + 2]], rows[chosen[k + 3]]
        for j in range(total.size):
            total[j] += np.int16(np.int16(np.int16(a[j]) + np.int16(b[j])) + np.int16(np.int16(c[j]) + np.int16(d[j])))
        k += 4
    while k < last:
        a = rows[chosen[k]]
        for j in range(total.size):
            total[j] += np.int16(a[j])
        k += 1


@compiled
def count(spikes: Any, first: int, last: int, reach: Any, counts: Any) -> None:
    """Count events that travel another way."""
    for n in range(spikes.shape[0]):
        for step in range(first, last):
            row = spikes[n, step]
            for kind in range(2):
                total = np.int64(0)
                for begin in range(0, row.size, _STRETCH):
                    part, reached = row[begin : begin + _STRETCH], reach[kind, begin : begin + _STRETCH]
                    some = np.int32(0)
                    for i in range(part.size):
                        some += np.int32(reached[i] * part[i])
                    total += some
                counts[n, step, kind] += total


@compiled
def _count_found(found: Any, events: int, reach: Any, counts: Any) -> None:
    for k in range(events):
        counts[0] += reach[0, found[k]]
        counts[1] += reach[1, found[k]]


@compiled
def through_matrix(
    spikes: Any, first: int, last: int, weight: Any, reach: Any, a_in: Any, at: int, counts: Any
) -> None:
    """Dense synapses. weight `(sources, targets)` int8 or int16."""
    samples, _, width = spikes.shape
    found = np.empty(width + 1, np.int32)
    total = np.empty(weight.shape[1], np.int16)
    events = 0
    for n in range(samples):
        for step in range(first, last):
            events = find_events(spikes[n, step], found, events)
            _count_found(found, events, reach, counts[n, step])
            sums = a_in[n, at + step - first]
            for k in range(0, events, TOGETHER):
                _add_rows(total, weight, found, k, min(k + TOGETHER, events))
                for j in range(total.size):
                    sums[j] += total[j]


@compiled
def through_synapses(
    spikes: Any, first: int, last: int, weight: Any, targets: Any, starts: Any, reach: Any, a_in: Any, at: int,
    counts: Any,
) -> None:  # fmt: skip
    """Sparse synapses, source by source: those of source i stand at `starts[i]` to `starts[i + 1]`."""
    samples, _, width = spikes.shape
    found = np.empty(width + 1, np.int32)
    events = 0
    for n in range(samples):
        for step in range(first, last):
            events = find_events(spikes[n, step], found, events)
            _count_found(found, events, reach, counts[n, step])
            sums = a_in[n, at + step - first]
            for k in range(events):
                for entry in range(starts[found[k]], starts[found[k] + 1]):
                    sums[targets[entry]] += weight[entry]


@compiled
def through_kernel(
    spikes: Any, first: int, last: int, weight: Any, rows: Any, columns: Any, shape: Any, reach: Any, a_in: Any,
    at: int, counts: Any,
) -> None:  # fmt: skip
    """A convolution, all spikes of a pixel and group together.

    weight: `(channels, kH·kW·targets of a group)` int8 or int16, taps in reverse, so that what they reach rises.
    rows `(H, kH)`, columns `(W, kW)` int32: which output a tap carries an input of this row or column to, -1 for none.
    shape: channels, groups, target channels of a group, output width.
    """
    channels, groups, per_group, out_width = shape
    taps_y, taps_x, width = rows.shape[1], columns.shape[1], columns.shape[0]
    samples, _, row = spikes.shape
    of_group, out_channels = channels // groups, per_group * groups
    found = np.empty(row + 1, np.int32)
    chosen = np.empty(TOGETHER, np.int32)
    patch = np.empty(weight.shape[1], np.int16)
    events = 0
    for n in range(samples):
        for step in range(first, last):
            events = find_events(spikes[n, step], found, events)
            _count_found(found, events, reach, counts[n, step])
            sums = a_in[n, at + step - first]
            base = y = x = k = 0
            while k < events:
                while found[k] >= base + channels:  # cheaper than a division, as spikes rise
                    base += channels
                    x += 1
                    if x == width:
                        x, y = 0, y + 1
                group = (found[k] - base) // of_group if groups > 1 else 0
                end = base + (group + 1) * of_group
                together = 0
                while k < events and found[k] < end and together < TOGETHER:
                    chosen[together] = found[k] - base
                    together += 1
                    k += 1
                _add_rows(patch, weight, chosen, 0, together)
                for i in range(taps_y):
                    if rows[y, i] < 0:
                        continue
                    line = rows[y, i] * out_width
                    j = 0
                    while j < taps_x:
                        if columns[x, j] < 0:
                            j += 1
                            continue
                        # Taps whose targets are neighbours are added as one stretch.
                        until = j + 1
                        while until < taps_x and groups == 1 and columns[x, until] == columns[x, until - 1] + 1:
                            until += 1
                        begin = (line + columns[x, j]) * out_channels + group * per_group
                        length = (until - j) * per_group
                        target = sums[begin : begin + length]
                        part = patch[(i * taps_x + j) * per_group :]
                        for each in range(length):
                            target[each] += part[each]
                        j = until
