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
LANES = 16  # weights that are added at once, in 16 bits

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
def add(found: Any, a_in: Any) -> None:
    """Add integers, of any type, to sums of as many steps, or one step's to those of all."""
    for n in range(a_in.shape[0]):
        for step in range(a_in.shape[1]):
            sums, found_then = a_in[n, step], found[n, step if found.shape[1] > 1 else 0]
            for j in range(sums.size):
                sums[j] += np.int64(found_then[j])


@compiled
def _count_found(found: Any, events: int, reach: Any, counts: Any) -> None:
    for k in range(events):
        counts[0] += reach[0, found[k]]
        counts[1] += reach[1, found[k]]


@compiled
def through_matrix(
    spikes: Any, first: int, last: int, weight: Any, reach: Any, a_in: Any, at: int, counts: Any
) -> None:
    """Dense synapses. weight `(sources, targets, filled up to whole LANES)` int8 or int16."""
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
                for j in range(sums.size):
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
def _spread(part: Any, lines: Any, runs: Any, row_of_taps: int, offset: int, sums: Any) -> None:
    """Add what a pixel sends, `part` `(kH·kW·targets of a group,)`, to the lines of `sums` that it reaches."""
    for i in range(lines.size):
        if lines[i] < 0:
            continue
        for run in runs:
            begin, tap, length = lines[i] + run[0] + offset, i * row_of_taps + run[1], run[2]
            target, added = sums[begin : begin + length], part[tap : tap + length]
            for j in range(length):
                target[j] += added[j]


@compiled
def through_kernel(
    spikes: Any, first: int, last: int, weight: Any, lines: Any, runs: Any, starts: Any, shape: Any, reach: Any,
    a_in: Any, at: int, counts: Any,
) -> None:  # fmt: skip
    """A convolution, all spikes of a pixel and group together.

    weight: `(channels, kH·kW·targets of a group)` int8 or int16, taps in reverse, so that what they reach rises.
    lines: where the sums of the output line begin that a row of taps carries an input line to, -1 for none,
        `(H, kH)` int32.
    runs: stretches of neighbouring targets within such a line: where they begin, there and in the row of taps, and how
        long they are, `(…, 3)` int32; those of an input at x stand at `starts[x]` to `starts[x + 1]`.
    shape: channels, groups, target channels of a group.
    """
    channels, groups, per_group = shape
    samples, _, row = spikes.shape
    width, of_group = starts.size - 1, channels // groups
    row_of_taps = weight.shape[1] // lines.shape[1]
    found = np.empty(row + 1, np.int32)
    patch = np.empty(weight.shape[1], np.int16)
    events = 0
    for n in range(samples):
        for step in range(first, last):
            events = find_events(spikes[n, step], found, events)
            _count_found(found, events, reach, counts[n, step])
            sums = a_in[n, at + step - first]
            k = 0
            while k < events:
                pixel = np.uint32(found[k]) // np.uint32(channels)
                y, x = pixel // np.uint32(width), pixel % np.uint32(width)
                base = np.int32(pixel * np.uint32(channels))
                group = (found[k] - base) // of_group if groups > 1 else 0
                end, begin = base + (group + 1) * of_group, k
                while k < events and found[k] < end and k - begin < TOGETHER:
                    found[k] -= base
                    k += 1
                reached = runs[starts[x] : starts[x + 1]]
                if k == begin + 1:
                    _spread(weight[found[begin]], lines[y], reached, row_of_taps, group * per_group, sums)
                else:
                    _add_rows(patch, weight, found, begin, k)
                    _spread(patch, lines[y], reached, row_of_taps, group * per_group, sums)


@compiled
def through_channels(
    spikes: Any, first: int, last: int, weight: Any, lines: Any, columns: Any, reach: Any, a_in: Any, at: int,
    counts: Any,
) -> None:  # fmt: skip
    """A convolution of each channel by itself, all channels of a pixel at once, whether they spike or not.

    weight: `(kH·kW, channels)` int16, taps in reverse. lines: as in `through_kernel`. columns: which output a tap
    carries an input of this column to, -1 for none, `(W, kW)` int32.
    """
    count(spikes, first, last, reach, counts)
    channels = weight.shape[1]
    (width, taps_x), (height, taps_y) = columns.shape, lines.shape
    for n in range(spikes.shape[0]):
        for step in range(first, last):
            row, sums = spikes[n, step], a_in[n, at + step - first]
            for y in range(height):
                for i in range(taps_y):
                    if lines[y, i] < 0:
                        continue
                    for x in range(width):
                        pixel = row[(y * width + x) * channels : (y * width + x + 1) * channels]
                        for j in range(taps_x):
                            if columns[x, j] < 0:
                                continue
                            begin, factors = lines[y, i] + columns[x, j] * channels, weight[i * taps_x + j]
                            target = sums[begin : begin + channels]
                            for c in range(channels):
                                target[c] += np.int16(np.int16(pixel[c]) * factors[c])
