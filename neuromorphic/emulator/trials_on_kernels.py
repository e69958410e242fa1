"""Trials on compiled kernels: in blocks of steps that stay in the cache, of which nothing is recorded.

This module needs numba; whoever imports it has looked whether there is any.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from snnergy.artefacts.types import IntArray
from snnergy.neuromorphic.emulator.arrivals import Room, Sums, Way, arriving, way_of
from snnergy.neuromorphic.emulator.firing import Firing, Neurons
from snnergy.neuromorphic.emulator.kernels import compiled, neurons
from snnergy.neuromorphic.emulator.kernels.comparison import compare
from snnergy.neuromorphic.emulator.layerwise import blocks
from snnergy.neuromorphic.emulator.layout import channels_last, channels_of
from snnergy.neuromorphic.emulator.packed import Delivery, deliveries
from snnergy.neuromorphic.emulator.sent import Sent
from snnergy.neuromorphic.emulator.trial import Apart, Form, Trial, squares
from snnergy.neuromorphic.ir import FloatSynapse, QuantSynapse


class OnKernels:
    """`Trials`."""

    def __init__(self, synapses: Sequence[FloatSynapse], values: Mapping[str, Tensor], expected: Tensor) -> None:
        """Bring what is given into the order of the kernels.

        Args:
            values: what each source sends. expected: as for `trials`.
        """
        compiled.announce(neurons.scan)
        self.target = synapses[0].target
        self.channels = channels_of(synapses)
        self.sent = {name: Sent.of(_whole(x), self.channels[name]) for name, x in values.items()}
        self.expected = np.ascontiguousarray(channels_last(expected.numpy(), self.channels[self.target]))
        self._ways: list[Way] = []

    def begin(self, synapses: Sequence[QuantSynapse]) -> Trial:
        """See `Trials`."""
        return _TrialOnKernels(self, synapses)

    def ways(self, incoming: Sequence[Delivery]) -> Mapping[int, Way]:
        """How spikes travel: counted once, for the weights that differ from trial to trial do not count."""
        if not self._ways:
            self._ways = [way_of(d, self.sent, (), None) for d in incoming]
        return {id(d): way for d, way in zip(incoming, self._ways, strict=True)}


def _whole(x: Tensor) -> IntArray:
    return np.asarray((x.int() if x.is_floating_point() else x).numpy())


class _TrialOnKernels:
    def __init__(self, given: OnKernels, synapses: Sequence[QuantSynapse]) -> None:
        self._given = given
        self._incoming = deliveries(synapses, given.target, given.channels)
        self._ways = given.ways(self._incoming)
        self._synapses = len(synapses)

    def of(self, forms: Sequence[Form], samples: slice) -> list[Apart]:
        given, size = self._given, self._given.expected.shape[2]
        sent = {name: values.part(samples) for name, values in given.sent.items()}
        expected = given.expected[samples]
        count, steps = expected.shape[:2]
        unread = np.zeros((self._synapses, count, steps, 2), np.int64)
        together, at_once = blocks(count, steps, size, self._ways.values())
        laid_out = [Neurons.of(form.population, given.channels[given.target], self._incoming) for form in forms]
        found, room = [Apart() for _ in forms], Room()
        for first in range(0, count, together):
            few = slice(first, min(first + together, count))
            begun = [
                _Progress(form, member, few.stop - first, at_once) for form, member in zip(forms, laid_out, strict=True)
            ]
            of_few = {name: values.part(few) for name, values in sent.items()}
            for start in range(0, steps, at_once):
                end = min(start + at_once, steps)
                shape = (few.stop - first, end - start, size)
                sums = arriving(self._incoming, self._ways, of_few, (start, end), shape, unread[:, few], room)
                for place, progress in enumerate(begun):
                    found[place] += progress.through(sums, expected[few, start:end])
        return found


class _Progress:
    """A form on its way through time; it keeps no more than a block of steps."""

    def __init__(self, form: Form, member: Neurons, samples: int, steps: int) -> None:
        self._form = form
        self._firing = Firing.begin(member, samples, steps, record=not form.population.spiking)
        self._ahead = np.zeros((samples, form.population.size), np.int32)

    def through(self, sums: Sums, expected: IntArray) -> Apart:
        """How it does in the steps of `sums`."""
        firing, form, steps = self._firing, self._form, sums.a_in.shape[1]
        firing.advance(slice(None), 0, Sums(sums.a_in, sums.exponent + form.shift, sums.bound * 2.0**form.shift))
        if not form.population.spiking:
            v = torch.from_numpy(firing.recorded_v[:, :steps])
            return Apart(squares(v, torch.from_numpy(expected), form.population))
        return Apart(*compare(firing.sent.values[:, :steps], expected, self._ahead))
