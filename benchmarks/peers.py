"""Files of other frameworks against the output of these frameworks: what is kept, with which options, and in 8 bits.

    python -m benchmarks.peers tests/fixtures/frameworks ../shared/peers -o benchmarks/results/peers.json

A folder holds NAME.nir or NAME.net, NAME.npz (samples `(N, T, …)`, and `label` where there is one) and NAME.float.npz
(`out` `(N, T, classes)`, what the framework itself emits). First the file is read as it is by default. Where that does
not give the framework's output, what users can ask for is tried in float as `--reference` does, and what fits clearly
better is named. `--page` puts the table between the two marks of a page.

overlap: over all spikes, those in common per those of either (a spike of several counts as many); of a readout, 1 less
the relative RMS error. later: steps by which the framework emits later than the graph that it wrote.
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.results_file import write_rows
from snnergy.artefacts.errors import UserError
from snnergy.artefacts.samples import Samples
from snnergy.neuromorphic import emulator
from snnergy.neuromorphic.graph.conventions import CHOICES
from snnergy.neuromorphic.graph.input_kinds import with_inputs
from snnergy.neuromorphic.graph.interpret import interpret
from snnergy.neuromorphic.graph.read_nir import read_nir
from snnergy.neuromorphic.graph.source import NirSource
from snnergy.neuromorphic.inputs import to_integers
from snnergy.neuromorphic.ir import QuantNet
from snnergy.neuromorphic.limits import ALIGN_SHIFT
from snnergy.neuromorphic.lowering.lower import lower
from snnergy.neuromorphic.lowering.reference import SAME, nearest, options, telling
from snnergy.neuromorphic.netx.files import read_netx

Array = npt.NDArray[Any]
_LATER_MAX = 3
_BY_CHANCE = 0.1  # by which shifted trains may overlap more without being later
_BETTER = 0.02  # by which an option must overlap more to be named
KEPT = SAME  # of the overlap: single precision may move a spike across its threshold
# What a framework does where an option is needed to say so.
_MEANT = {
    "reset hard": "a spike clears the membrane; the file's version means subtraction",
    "reset soft": "a spike takes the threshold off",
    "reset late-soft": "a spike takes the threshold off in the next step, after the decay",
    "reset late-hard": "a spike clears the membrane in the next step, with what arrives there",
    "spikes many": "several spikes a step",
    "integration exponential": "decays are exp(−dt/tau)",
    "gain one": "the input is added whole, r says otherwise",
}
# What no option brings back.
_LOST = {
    "rock_c_rec.nir": "the recurrent weights are not in the file: without them the framework's own equations emit "
    "6 348 spikes, with them 1 432 176",
    "snn_f_vec_residual.nir": "a sum of two layers by `+` is not in the file, and the edges that are cannot be summed",
}
_BEGIN, _END = "<!-- measured: begin -->", "<!-- measured: end -->"


@dataclass(frozen=True)
class Peer:
    """One file. out: the framework's own."""

    path: Path
    samples: Samples
    out: Array


def peers_in(folder: Path) -> Iterator[Peer]:
    """The files of a folder that have all three parts."""
    for path in sorted([*folder.glob("*.nir"), *folder.glob("*.net")]):
        beside = (path.with_suffix(".npz"), path.with_suffix(".float.npz"))
        if all(part.is_file() for part in beside):
            with np.load(beside[0]) as given, np.load(beside[1]) as emitted:
                arrays = {name: given[name] for name in given.files}
                out = emitted["out"]
            labels = arrays.pop("label", None)
            yield Peer(path, Samples(arrays, labels), out)


def overlap(a: Array, b: Array) -> float:
    """As the module says; 0 where neither fires, for that is no evidence."""
    if _spiking(a) and _spiking(b):
        return float(np.minimum(a, b).sum() / max(float(np.maximum(a, b).sum()), 1.0))
    size = float(np.sqrt(np.square(b).mean()))
    return 1.0 - float(np.sqrt(np.square(a - b).mean())) / size if size else 0.0


def _spiking(a: Array) -> bool:
    return bool((a >= 0).all() and (a == np.rint(a)).all())


def fit(ours: Array, theirs: Array) -> tuple[float, int]:
    """The overlap, and how much later theirs must be taken for it where that makes a difference."""
    steps = theirs.shape[1]
    laters = range(min(_LATER_MAX, steps - 1) + 1)
    found = [overlap(ours[:, : steps - later], theirs[:, later:]) for later in laters]
    best = int(np.argmax(found))
    return (found[best], best) if found[best] > found[0] + _BY_CHANCE else (found[0], 0)


def _predictions(out: Array) -> Array:
    values = out.sum(1) if _spiking(out) else out[:, -1]
    return np.asarray(values.reshape(len(values), -1).argmax(1))


def measured(peer: Peer) -> dict[str, Any]:
    """One row."""
    row: dict[str, Any] = {"file": peer.path.name, "framework_spikes": round(float(peer.out.mean()), 4)}
    try:
        return row | (_of_netx(peer) if peer.path.suffix == ".net" else _of_graph(peer))
    except UserError as error:
        return row | {"refused": error.violations[0]}


def _of_netx(peer: Peer) -> dict[str, Any]:
    net = replace(read_netx(peer.path), reset=True)  # the framework starts each sample anew
    port, (given,) = net.inputs[0], peer.samples.arrays.values()
    samples = Samples({port.name: given.reshape(*given.shape[:2], *port.shape)}, peer.samples.labels)
    row = _compared("chip", _emulated(net, samples), peer)
    return {"default": "loaded", "meaning": "kept" if row["chip_overlap"] >= KEPT else "approximate"} | row


def _of_graph(peer: Peer) -> dict[str, Any]:
    source = with_inputs(read_nir(peer.path), peer.samples)
    row = _conventions(source) | _compared("float", _interpreted(source, peer.samples.arrays), peer)
    row["default"], fitted = _lowered(source, peer), source
    if row["float_overlap"] < KEPT:
        best = replace(source, conventions=nearest(source, lambda other: _likeness(other, peer)))
        found = _compared("float", _interpreted(best, peer.samples.arrays), peer)
        if found["float_overlap"] > row["float_overlap"] + _BETTER:
            fitted = best
            row |= {"fits": options(source, best.conventions), "why": _meant(source, best)} | found
    row["meaning"] = _meaning(row)
    try:
        net = lower(fitted, peer.samples).net
    except UserError as error:
        return row | {"refused": error.violations[0]}
    return row | _compared("chip", _emulated(net, peer.samples), peer)


def _meant(source: NirSource, best: NirSource) -> str:
    """What the framework does otherwise than the file is read."""
    found = [
        f"{what} {getattr(best.conventions.of(name), what)}"
        for what in CHOICES
        for name in source.of_kind("neuron", "readout")
        if getattr(best.conventions.of(name), what) != getattr(source.conventions.of(name), what)
    ]
    return "; ".join(_MEANT.get(choice, choice) for choice in dict.fromkeys(found))


def _why(row: dict[str, Any]) -> str:
    """Why the meaning is not that of the file as it is read; empty where it is."""
    later = row.get("float_later", 0)
    found = [_LOST.get(row["file"], row.get("why", ""))]
    found += [f"it emits {later} steps later than the graph, a step in each layer"] if later else []
    return "; ".join(filter(None, found))


def _meaning(row: dict[str, Any]) -> str:
    if row["float_overlap"] < KEPT:
        return "approximate"
    return f"kept with `{row['fits']}`" if "fits" in row else "kept"


def _conventions(source: NirSource) -> dict[str, Any]:
    return {"dt": source.dt, "dt_reason": source.dt_reason, "conventions": source.read_as}


def _lowered(source: NirSource, peer: Peer) -> str:
    try:
        lower(source, peer.samples)
    except UserError as error:
        return error.violations[0]
    return "compiles"


def _likeness(source: NirSource, peer: Peer) -> float:
    """How near the float oracle comes to the framework on a few samples."""
    few = telling(peer.out, source)
    return fit(_interpreted(source, {name: array[few] for name, array in peer.samples.arrays.items()}), peer.out[few])[
        0
    ]


def _interpreted(source: NirSource, arrays: dict[str, Any]) -> Array:
    shapes = {name: (*array.shape[:2], *source.shapes[name]) for name, array in arrays.items() if name in source.shapes}
    inputs = {name: np.asarray(arrays[name], np.float32).reshape(shape) for name, shape in shapes.items()}
    trace = interpret(source, inputs)
    return np.asarray(trace.values[source.of_kind("output")[0]].numpy(), np.float64)


def _emulated(net: QuantNet, samples: Samples) -> Array:
    records = emulator.run(net, to_integers(samples, net.inputs))
    population = net.population(net.outputs[0])
    if population.spiking:
        return np.asarray(records.values[population.name], np.float64)
    return np.asarray(records.v[population.name], np.float64) / (population.scale * (1 << ALIGN_SHIFT))


def _compared(side: str, ours: Array, peer: Peer) -> dict[str, Any]:
    ours = ours.reshape(*ours.shape[:2], -1)
    theirs = np.asarray(peer.out, np.float64).reshape(*peer.out.shape[:2], -1)
    best, later = fit(ours, theirs)
    found: dict[str, Any] = {f"{side}_overlap": round(best, 4), f"{side}_later": later}
    same = _predictions(ours[:, : ours.shape[1] - later]) == _predictions(theirs[:, later:])
    found[f"{side}_same_prediction"] = round(float(same.mean()), 4)
    if peer.samples.labels is not None:
        for name, out in ((side, ours), ("framework", theirs)):
            found[f"{name}_accuracy"] = round(float((_predictions(out) == peer.samples.labels).mean()), 4)
    return found


def page(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a table."""
    lines = ["| file | by default | meaning | why | overlap float / 8 bit | accuracy framework / float / 8 bit |"]
    lines.append("|---|---|---|---|---|---|")
    for row in rows:
        overlaps = " / ".join(_percent(row.get(f"{side}_overlap")) for side in ("float", "chip"))
        accuracies = " / ".join(_percent(row.get(f"{side}_accuracy")) for side in ("framework", "float", "chip"))
        default = row.get("refused", row.get("default", "")).replace("|", "/")
        meaning = row.get("meaning", "-")
        if meaning == "approximate" and "fits" in row:
            meaning += f", nearest with `{row['fits']}`"
        lines.append(f"| `{row['file']}` | {default} | {meaning} | {_why(row)} | {overlaps} | {accuracies} |")
    return "\n".join(lines)


def _percent(share: float | None) -> str:
    return "-" if share is None or math.isnan(share) else f"{share:.1%}"


def main() -> None:
    """Measure every file of the folders."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--page", type=Path, help="a page whose table is replaced")
    chosen = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for peer in itertools.chain.from_iterable(peers_in(folder) for folder in chosen.folders):
        rows.append(measured(peer))
        print(rows[-1], flush=True)
        write_rows(chosen.output, "benchmarks.peers", rows, kept=KEPT)
    if chosen.page:
        text = chosen.page.read_text()
        before, after = text.split(_BEGIN)[0], text.split(_END)[1]
        chosen.page.write_text(f"{before}{_BEGIN}\n{page(rows)}\n{_END}{after}")


if __name__ == "__main__":
    main()
