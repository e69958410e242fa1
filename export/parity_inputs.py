"""What a graph and its network are compared on: validation samples, random pixels without them, or the caller's own."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np
import numpy.typing as npt

from snnergy.artefacts.budget import refuse_excess
from snnergy.artefacts.errors import UserError
from snnergy.artefacts.samples import MODALITIES, SampleSource, as_samples, to_units
from snnergy.artefacts.types import Shape
from snnergy.training.config.data import with_default_cache
from snnergy.training.config.experiment import Config
from snnergy.training.config.systems import SystemConfig
from snnergy.training.data import model_inputs

_BYTES = 6  # of a pixel, as 8 bits and as what is made of them

Inputs = dict[str, npt.NDArray[np.float32]]


def shapes(model: SystemConfig) -> dict[str, Shape]:
    """Shape of each input of a network, without samples and time."""
    side = model.image_size
    return {name: (channels, side, side) for name, channels in zip(MODALITIES, (model.video_channels, 1), strict=True)}


def parity_inputs(experiment: Config, samples: int | SampleSource) -> tuple[Inputs, str]:
    """Inputs for a comparison, and words for how many there are and where they are from.

    Args:
        experiment: that the network was trained by.
        samples: that many validation samples, or those of the split if it has fewer; random pixels where the data set
            is not there, because parity must hold on any input. Or whatever `as_samples` takes.

    Raises:
        UserError: the caller's own samples cannot be used, or so many exceed the budget of memory.
    """
    if not isinstance(samples, int):
        given = as_samples(samples, shapes(experiment.model))
        return {name: x.astype(np.float32) for name, x in given.arrays.items()}, f"{len(given)} samples that were given"
    experiment = replace(experiment, data=with_default_cache(experiment.data))
    try:
        found = model_inputs(experiment, "val", samples)
    except UserError as missing:
        return random_inputs(experiment.model, samples), f"{samples} samples of random pixels ({missing})"
    count = len(found[MODALITIES[0]])
    fewer = f", of {samples} asked for" if count < samples else ""
    return {name: found[name] for name in MODALITIES}, f"{count} validation samples of {experiment.data.name}{fewer}"


def random_inputs(model: SystemConfig, count: int, seed: int = 0) -> Inputs:
    """Uniform random 8-bit pixels in the shapes that `model` takes, in its own units."""
    values = sum(prod(shape) for shape in shapes(model).values())
    refuse_excess(f"{count} samples of random pixels", _BYTES * count * model.time_steps * values)
    rng = np.random.default_rng(seed)
    return {
        name: to_units(rng.integers(0, 256, size=(count, model.time_steps, *shape), dtype=np.uint8))
        for name, shape in shapes(model).items()
    }
