"""`import snnergy`: light and complete, and each function takes what a caller has."""

import subprocess
import sys
import weakref
from pathlib import Path

import nir
import numpy as np
import pytest

import snnergy as sn
from snnergy.neuromorphic.ir import QuantNet
from tests.neuromorphic import graphs

HEAVY = {"torch", "matplotlib", "lightning", "numpy", "h5py", "nir", "scipy", "rich", "pandas", "jinja2"}


def test_importing_is_light():
    code = f"import sys, snnergy; print(sorted({HEAVY!r} & set(sys.modules)), snnergy.__version__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == f"[] {sn.__version__}\n"


def test_the_surface_is_sorted_whole_and_documented():
    assert sn.__all__ == sorted(set(sn.__all__))
    for name in sn.__all__:
        value = getattr(sn, name)
        assert value.__doc__, name
    assert set(sn.__all__) <= set(dir(sn))
    with pytest.raises(AttributeError, match="no attribute 'quantise'"):
        sn.quantise  # noqa: B018


def test_energy_and_export_are_packages_and_functions():
    import snnergy.energy.prices

    assert sn.energy is snnergy.energy and "45nm-fp32" in sn.energy.TECHNOLOGIES
    assert sn.energy.prices.TECHNOLOGIES is sn.energy.TECHNOLOGIES
    assert sn.energy(simulated()).energy_snn_pj > 0
    with pytest.raises(sn.UserError, match="no such file"):
        sn.export("nowhere/checkpoint.pt")


def compiled() -> sn.Compiled:
    return sn.compile(graphs.branched(), calibration=graphs.samples(4))


def simulated() -> sn.Run:
    return sn.simulate(compiled(), graphs.samples(4))


def test_a_graph_in_memory_and_its_file_compile_alike(tmp_path):
    nir.write(tmp_path / "g.nir", graphs.branched())
    memory, path, text = (
        sn.compile(source, calibration=graphs.samples(4)).net
        for source in (graphs.branched(), tmp_path / "g.nir", str(tmp_path / "g.nir"))
    )
    assert isinstance(memory, QuantNet)
    assert memory.populations == path.populations == text.populations
    assert memory.synapses == path.synapses == text.synapses


def test_what_is_saved_loads_again(tmp_path):
    made = compiled()
    report = made.save(tmp_path / "m.net")
    assert report == tmp_path / "m.fidelity.json" and report.is_file()
    assert sn.load(tmp_path / "m.net") == sn.load(str(tmp_path / "m.net")) == made.net
    with pytest.raises(sn.UserError, match="exists already"):
        made.save(tmp_path / "m.net")
    made.save(tmp_path / "m.net", force=True)
    run = sn.simulate(tmp_path / "m.net", graphs.samples(2))
    assert run.activity.model == "m.net"


def test_reports_show_themselves(tmp_path):
    pandas = pytest.importorskip("pandas")
    made, run = compiled(), simulated()
    report = sn.energy(run)
    for value in (made, run, report):
        assert "\n" not in repr(value) and len(repr(value)) < 300
        assert value._repr_html_().startswith("<table>")
    assert set(made.to_dataframe().index) == {p.name for p in made.net.populations}
    assert set(run.to_dataframe().index) == {node.name for node in run.activity.nodes}
    by_node = report.to_dataframe(by="node")
    assert isinstance(by_node, pandas.DataFrame)
    for by in ("node", "stage", "role", "modality"):
        assert report.to_dataframe(by=by)["energy_pj"].sum() == pytest.approx(report.energy_snn_pj)
    assert report.to_dataframe(by="operation")["energy_pj"].sum() == pytest.approx(report.energy_snn_pj)
    assert (report.save(tmp_path / "report") / "report.html").is_file()


@pytest.mark.parametrize(
    ("function", "made_for", "message"),
    [
        (sn.compile, "net", "is a netx network, not a NIR graph; `simulate` takes it"),
        (sn.compile, "npz", "is a samples file, not a NIR graph"),
        (
            lambda path: sn.simulate(path, graphs.samples(1)),
            "nir",
            "is a NIR graph, not a netx network; `compile` takes",
        ),
        (sn.load, "h5", "is recorded activity, not a netx network; `energy` takes it"),
        (sn.energy, "nir", "is a NIR graph, not recorded activity; `compile` takes it"),
        (sn.energy, "net", "is a netx network, not recorded activity; `simulate` takes it"),
        (sn.export, "nir", "is a NIR graph, not a checkpoint"),
    ],
)
def test_a_file_in_the_wrong_place_is_sent_to_the_right_one(tmp_path, function, made_for, message):
    path = tmp_path / f"file.{made_for}"
    if made_for == "nir":
        nir.write(path, graphs.branched())
    elif made_for == "net":
        compiled().save(path)
    elif made_for == "h5":
        simulated().save(path)
    else:
        with path.open("wb") as file:
            np.savez(file, image=np.zeros(3))
    with pytest.raises(sn.UserError) as caught:
        function(path)
    assert message in str(caught.value) and str(path) in str(caught.value)


class Watched:
    """The emulator, four samples at a time; it keeps an eye on the records that it has handed out."""

    name, samples_at_once = "watched", 4

    def __init__(self):
        self.handed_out, self.most_alive = [], 0

    def run(self, net, inputs, **options):
        records = sn.Emulator().run(net, inputs, **options)
        self.handed_out.append(weakref.ref(records))
        self.most_alive = max(self.most_alive, sum(ref() is not None for ref in self.handed_out))
        return records


def test_memory_does_not_grow_with_the_number_of_samples(tmp_path):
    """Records of a batch are let go of once they are in the file: two batches are alive at most."""
    backend = Watched()
    sn.simulate(compiled(), graphs.samples(40), backend=backend, output=tmp_path / "a.h5")
    assert len(backend.handed_out) == 10
    assert backend.most_alive <= 2


def test_the_input_is_never_an_output_that_may_be_forced(cli, tiny, tmp_path):
    outcome = cli("simulate", tiny.net, "--input", tiny.samples, "-o", tiny.net)
    assert outcome.code == 2 and "is the input itself" in outcome.err and "--force" not in outcome.err
    for arguments in (
        ("compile", tiny.nir, "-o", tiny.nir, "--force"),
        ("export", tiny.checkpoint, "-o", tiny.checkpoint, "--force"),
        ("simulate", tiny.net, "--input", tiny.samples, "-o", tiny.samples, "--force"),
        ("samples", tiny.checkpoint, "-o", tiny.checkpoint, "--force"),
    ):
        before = Path(arguments[1]).read_bytes()
        outcome = cli(*arguments)
        assert outcome.code == 2 and "is the input itself" in outcome.err, outcome
        assert Path(arguments[1]).read_bytes() == before
