"""What the scripts of all simulators share: the network that they are given, and the lines in which they are asked.

Imported in environments that hold one simulator each: nothing but NumPy here. A script says who it is in a line of
JSON, and then answers one line with one: `{"network": FILE, "spikes": FILE}` builds the network of the first file, runs
it once and writes what its last layer sent, `(N, T, …)`, to the second; `{"run": true}` runs it again. The answers are
`{"seconds": …}`, or `{"refused": why}`.

A layer's neurons are  v ← kept·v + Σ w·x,  fire where v > threshold, and start from 0 then. What of that a simulator
does otherwise is the sentence with which it introduces itself.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Layer:
    """weight: `(out, in)`, or `(out, in, h, w)` of a convolution with that padding. decay: in 4096ths."""

    weight: Array
    padding: tuple[int, int]
    decay: int
    threshold: int

    @property
    def kept(self) -> float:
        """Share of a membrane that is left after a step."""
        return 1 - self.decay / 4096


@dataclass(frozen=True)
class Task:
    """Layers one behind the other, and their input of zeros and ones, `(N, T, …)`."""

    layers: Sequence[Layer]
    input: Array

    def save(self, path: Path) -> None:
        """Write the file that a script is told of."""
        layers = {f"{name}{i}": value for i, layer in enumerate(self.layers) for name, value in vars(layer).items()}
        np.savez(path, input=self.input, count=len(self.layers), **layers)

    @classmethod
    def load(cls, path: str) -> Task:
        """Read it."""
        with np.load(path) as file:
            layers = [
                Layer(
                    file[f"weight{i}"],
                    (int(file[f"padding{i}"][0]), int(file[f"padding{i}"][1])),
                    int(file[f"decay{i}"]),
                    int(file[f"threshold{i}"]),
                )
                for i in range(int(file["count"]))
            ]
            return cls(layers, file["input"])


@dataclass(frozen=True)
class Peer:
    """A network that is built. run: all of its input, from cleared state. spikes: `(N, T, …)` of what a run gave.

    seconds: what a run took by the simulator's own clock, where a clock around `run` would measure something else.
    """

    run: Callable[[], Any]
    spikes: Callable[[Any], Array]
    seconds: Callable[[Any], float] | None = None

    def timed(self) -> tuple[Any, float]:
        """What a run gave, and its seconds."""
        begun = time.perf_counter()
        given = self.run()
        seconds = time.perf_counter() - begun
        return given, seconds if self.seconds is None else self.seconds(given)


class Refused(Exception):
    """The simulator cannot hold the network; the text says why."""


def one_dense_sample(task: Task) -> list[Array]:
    """The matrices of a network without convolutions, of which one sample is asked for.

    Raises:
        Refused: it has convolutions, or there are more samples.
    """
    if any(layer.weight.ndim > 2 for layer in task.layers):
        raise Refused("convolutions would be written out synapse by synapse")
    if len(task.input) > 1:
        raise Refused("one sample at a time")
    return [layer.weight for layer in task.layers]


def serve(build: Callable[[Task], Peer], distribution: str, differs: str) -> None:
    """Answer lines until there are no more.

    Args:
        build: of a simulator whose package is called `distribution`.
        differs: what it does otherwise than the equation above.
    """
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a simulator prints is no answer
    print(json.dumps({"version": version(distribution), "differs": differs}), file=answers)
    peer: Peer | None = None
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            if "network" in asked:
                peer = build(Task.load(asked["network"]))
            assert peer is not None
            given, seconds = peer.timed()
            if "spikes" in asked:
                np.save(asked["spikes"], peer.spikes(given).astype(np.uint8))
            answer: dict[str, Any] = {"seconds": seconds}
        except Refused as error:
            answer = {"refused": str(error)}
        except Exception as error:  # whatever a simulator raises is a row of the table
            answer = {"refused": f"{type(error).__name__}: {error}".splitlines()[0][:200]}
        print(json.dumps(answer), file=answers)
