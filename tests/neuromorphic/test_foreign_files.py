"""Files of other frameworks, by the version that wrote them; what inspection says of a graph."""

from __future__ import annotations

from pathlib import Path

import h5py
import nir
import numpy as np
import pytest

from snnergy.artefacts.errors import UserError
from snnergy.neuromorphic.graph.read_nir import read_nir
from snnergy.neuromorphic.lowering.inspect import inspect
from tests.neuromorphic.foreign_graphs import between, cuba, full, integrator, lif, linear

PEERS = Path(__file__).parents[3] / "shared" / "peers"


@pytest.mark.parametrize(
    ("version", "has_reset", "reset"),
    [
        ("1.0.4", False, "soft"),
        ("1.0.4", True, "hard"),
        ("1.0.8", False, "hard"),
        ("", False, "hard"),
        ("?", False, "hard"),
    ],
)
def test_the_version_of_a_file_decides_what_a_spike_does(version, has_reset, reset, tmp_path):
    path = tmp_path / "g.nir"
    nir.write(path, between(linear(), lif(2, 2.0)))
    with h5py.File(path, "r+") as file:
        del file["version"]
        if version:
            file["version"] = version
        if not has_reset:
            del file["node/nodes/n2/v_reset"]
    source = read_nir(path)
    assert source.conventions.reset == reset and source.reset_reason
    asked = read_nir(path, reset="hard", spikes="many")
    assert (asked.conventions.reset, asked.conventions.spikes, asked.reset_reason) == ("hard", "many", "given")
    for wrong in ({"reset": "none"}, {"spikes": "two"}, {"integration": "exact"}, {"gain": "r"}):
        with pytest.raises(UserError, match="must be one of"):
            read_nir(path, **wrong)  # type: ignore[arg-type]


# Inspection, and files of others.
def test_inspection_says_everything_that_is_wrong():
    graph = between(
        linear(), cuba(2, 4.0, 9000.0, 1.0, 1.0), nir.Linear(np.eye(2)), lif(2, 0.5, 5.0), integrator(2, 1e4)
    )
    graph.nodes["n1"] = nir.Affine(full((2, 2), 1), full((2,), 1))
    graph.nodes["n4"].v_threshold[0] = 2.0
    found = inspect(graph)
    assert found.types == {"Affine": 1, "CubaLIF": 1, "IF": 1, "Input": 1, "LIF": 1, "Linear": 1, "Output": 1}
    assert (found.neurons, found.outputs, found.inputs[0].shape) == (6, {"n6": (2,)}, (2,))
    assert "disagree on the time step" in found.refused[0] and len(found.refused) > 1
    text = repr(found)
    assert "input 'n0': (2,), spikes (not declared)" in text and "time constants" in text
    fine = inspect(between(linear(), lif(2, 9000.0)))
    assert (
        not fine.refused
        and "rounding to 12 bits changes time constants: n2 (of v 9000 steps to 4096)" in repr(fine)
        and "nothing in it is refused" in repr(fine)
    )


def test_inspection_of_what_cannot_be_read():
    loop = between(linear(), lif(2, 2.0))
    loop.nodes["n2"].v_threshold = full((5,), 1)
    found = inspect(loop)
    assert found.dt is None and found.types["LIF"] == 1 and "parameters of shape (5,)" in found.refused[0]


STEPS = {"snn": 1e-4, "sj": 1e-4, "sinabs": 1.0, "norse": 1e-6, "rock": 1e-3}


@pytest.mark.skipif(not PEERS.is_dir(), reason="no files of other frameworks beside this checkout")
@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in sorted(PEERS.glob("*.nir"))])
def test_files_of_other_frameworks_are_read_in_their_own_steps(path):
    if path.stem == "snn_f_vec_residual":
        with pytest.raises(UserError, match=r"'output' sums different shapes.*remove the edges that do not belong"):
            read_nir(path)
        return
    found = inspect(path)
    if "cycle" in "".join(found.refused):
        pytest.skip("loops are not read yet")
    assert found.dt == pytest.approx(STEPS[path.stem.split("_")[0]], rel=1e-6)
    assert len(found.inputs[0].shape) == (3 if "csnn" in path.stem else 1)
    assert found.conventions.reset == ("soft" if path.stem.startswith("sinabs") else "hard")
