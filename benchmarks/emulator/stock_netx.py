"""A `.net` file in the graph that lava-dl's netx builds of it: stock blocks, in Lava's fixed point.

    python -I stock_netx.py NET FRAMES OUT RESET LAYERS WHICH SEGMENTS

FRAMES is `(*netx's shape, time)`. OUT gets what layers send in each step, `(*netx's shape, time)`: all layers where
WHICH is `all`, the last for `last`. RESET is the number of steps after which state is cleared, 0 for never; LAYERS how
many of the file are built, 0 for all. SEGMENTS begins the names of its shared memory. It ends its whole process group,
for Lava's processes outlive what started them; `stock.py` starts it in a group and a folder of its own.
"""

from __future__ import annotations

import multiprocessing.process
import multiprocessing.shared_memory
import os
import signal
import sys
import types
from typing import Any

import numpy as np


def main(path: str, frames_file: str, out: str, reset: str, num_layers: str, which: str, segments: str) -> None:
    """Build, run, write."""
    multiprocessing.shared_memory._SHM_NAME_PREFIX = f"/{segments}"  # type: ignore[attr-defined]
    process: Any = multiprocessing.process.current_process()
    process._config.update(tempdir=".", semprefix=f"/{segments}")
    _without_torch()
    from lava.lib.dl.netx.blocks.models import AbstractPyBlockModel
    from lava.lib.dl.netx.blocks.process import RecurrentDense
    from lava.lib.dl.netx.hdf5 import Network, PyNetworkModel
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc import io

    frames = np.load(frames_file)
    # The first neurons are one synapse away from the input.
    net = Network(path, num_layers=int(num_layers) or None, reset_interval=int(reset) or None, reset_offset=1)
    total = frames.shape[-1] + len(net)
    source = io.source.RingBuffer(data=np.concatenate([frames, np.zeros((*frames.shape[:-1], len(net)), int)], -1))
    source.s_out.connect(net.inp)
    heard = net.layers if which == "all" else net.layers[-1:]
    sinks = [io.sink.RingBuffer(shape=layer.out.shape, buffer=total) for layer in heard]
    for layer, sink in zip(heard, sinks, strict=True):
        layer.out.connect(sink.a_in)

    class Recurrent(AbstractPyBlockModel):  # lava-dl has none
        implements_process = RecurrentDense
        implements_protocol = AbstractPyBlockModel.implements_protocol

    models = {layer: Recurrent for layer in net.layers if isinstance(layer, RecurrentDense)}
    configuration = Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map={net: PyNetworkModel, **models})
    net.run(condition=RunSteps(num_steps=total), run_cfg=configuration)
    np.savez(out, *[sink.data.get() for sink in sinks])
    os.killpg(0, signal.SIGKILL)


def _without_torch() -> None:
    """Have netx do without what it imports of torch: its torch modules, and one function of resonant neurons.

    It takes long and can hang the processes that Lava forks; what builds a network from a file needs neither.
    """
    modules: dict[str, Any] = sys.modules
    modules["torch"] = None
    modules["lava.lib.dl.netx.sequential_modules"] = types.ModuleType("sequential_modules")
    resonant: Any = types.ModuleType("rf")
    resonant.neuron_params = None
    modules["lava.lib.dl.slayer.neuron.rf"] = resonant


if __name__ == "__main__":
    main(*sys.argv[1:])
