"""Whether the emulator on a GPU equals the one on the processor in every value, and how long both take.

    python -m benchmarks.on_device cuda --net model.net --input test.npz -o benchmarks/results/on_device.json

The processor has all its cores. Contestants take turns; a figure is the median over the rounds.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.emulator.networks import NETWORKS, STEPS, spikes
from benchmarks.emulator.turns import clocked, in_turns, medians
from benchmarks.results_file import write_rows
from snnergy.artefacts.records import Records
from snnergy.artefacts.samples import read_samples
from snnergy.artefacts.types import IntArray
from snnergy.neuromorphic import emulator
from snnergy.neuromorphic.inputs import shapes_of, to_integers
from snnergy.neuromorphic.ir import QuantNet
from snnergy.neuromorphic.netx.files import read_netx

BATCHES = (1, 16, 256)


def compared(ours: Records, theirs: Records) -> int:
    """Values that were compared; raises where two differ."""
    count = 0
    for quantity in ("values", "u", "v"):
        mine, others = getattr(ours, quantity), getattr(theirs, quantity)
        assert mine.keys() == others.keys()
        for name, values in mine.items():
            np.testing.assert_array_equal(values, others[name], err_msg=f"{quantity} of {name}")
            count += values.size
    counts = (ours.delivered, theirs.delivered), (ours.delivered_nonzero, theirs.delivered_nonzero)
    for counted, counted_there in counts:
        for one, other in zip(counted, counted_there, strict=True):
            np.testing.assert_array_equal(one, other, err_msg="events")
            count += one.size
    assert ours.overflows == theirs.overflows
    return count


def measured(name: str, net: QuantNet, inputs: dict[str, IntArray], device: str, rounds: int) -> dict[str, Any]:
    """One network on one batch."""
    both = {"processor": partial(emulator.run, net, inputs), device: partial(emulator.run, net, inputs, device=device)}
    samples, steps = next(iter(inputs.values())).shape[:2]
    # Of u and v, a few samples tell as much as all.
    few = {port: values[:4] for port, values in inputs.items()}
    state = [emulator.run(net, few, record_state=True, device=which) for which in (None, device)]
    values = compared(*state) + compared(*(call() for call in both.values()))
    seconds = medians(in_turns({who: clocked(call) for who, call in both.items()}, rounds))
    return {
        "network": name,
        "batch": samples,
        "steps": steps,
        "values_equal": values,
        "seconds": {who: round(value, 6) for who, value in seconds.items()},
        "ratio_processor": round(seconds["processor"] / seconds[device], 2),
    }


def networks(net: Path | None, samples: Path | None) -> Iterator[tuple[str, QuantNet, dict[str, IntArray]]]:
    """Those of the emulator's benchmark at every batch, then the one of a file."""
    for name, (make, rate) in NETWORKS.items():
        for batch in BATCHES:
            yield name, make(), spikes(make(), batch, STEPS, rate)
    if net is not None and samples is not None:
        given = read_netx(net)
        yield net.name, given, to_integers(read_samples(samples, shapes_of(given.inputs)), given.inputs)


def main() -> None:
    """Measure, and write after each row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("device", help="as torch calls it")
    parser.add_argument("--net", type=Path)
    parser.add_argument("--input", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    which = arguments.device
    described = torch.cuda.get_device_name(which) if which.startswith("cuda") else which
    rows: list[dict[str, Any]] = []
    for name, net, inputs in networks(arguments.net, arguments.input):
        rows.append(measured(name, net, inputs, which, arguments.rounds))
        print(rows[-1], flush=True)
        write_rows(arguments.output, "benchmarks.on_device", rows, device=described, threads=torch.get_num_threads())


if __name__ == "__main__":
    main()
