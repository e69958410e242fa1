"""Spyx: LIF layers; exported by spyx.nir.

Its neurons emit in a step what the membrane of the step before decided, and subtract; the file says neither.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import nir
import numpy as np
import spyx.nir
import spyx.nn as snn
from flax import nnx

from benchmarks.frameworks.common import CLASSES, HIDDEN, INPUTS, main, save, spikes, weight

_RNGS = nnx.Rngs(0)


def _linear(seed: int, outputs: int, inputs: int) -> Any:
    layer = nnx.Linear(inputs, outputs, use_bias=False, rngs=_RNGS)
    layer.kernel[...] = jnp.array(weight(seed, outputs, inputs).T)
    return layer


def _lif(folder: Path, name: str) -> None:
    def neuron(count: int) -> Any:
        return snn.LIF((count,), beta=0.8, rngs=_RNGS)

    net = snn.Sequential(_linear(1, HIDDEN, INPUTS), neuron(HIDDEN), _linear(3, CLASSES, HIDDEN), neuron(CLASSES))
    x = spikes(INPUTS)
    out, _ = snn.run(net, jnp.array(x, jnp.float32), batch_major=True)
    graph = spyx.nir.to_nir(net, {"input": np.array([INPUTS])}, {"output": np.array([CLASSES])})
    nir.write(str(folder / f"{name}.nir"), graph)
    save(folder, name, "input", x, np.asarray(out))


if __name__ == "__main__":
    main({"spyx_lif": _lif})
