"""The demo on a tiny experiment: its steps in order, its summary, and what it may replace."""

import json

import pytest

from snnergy import demo as module
from snnergy.artefacts.errors import UserError
from snnergy.neuromorphic.simulation.verify import Verification
from snnergy.terminal import Terminal
from snnergy.training.config.experiment import load_config

# As many samples as show that each step takes what it should.
TINY_EXTENT = module.Extent(parity_samples=4, calibration_samples=12, test_samples=12, lava_samples=4)


@pytest.fixture
def verified(monkeypatch):
    """Lava's place taken: the comparison itself is tested where the backends are."""
    calls = []

    def verify(compiled, samples):
        calls.append({name: len(array) for name, array in samples.arrays.items()})
        return Verification(4, len(compiled.net.populations), 1000, {})

    monkeypatch.setattr("snnergy.verify", verify)
    return calls


@pytest.mark.usefixtures("few_digits")
def test_the_demo_leaves_every_artefact_and_its_figures(tiny, tmp_path, verified, monkeypatch, capsys):
    monkeypatch.setattr(module, "_LAVA_ENDS", (99, 0))
    output = tmp_path / "runs" / "demo"
    summary = module.demo(output, Terminal(), config=tiny.config_file, extent=TINY_EXTENT)
    assert summary == json.loads((output / "summary.json").read_text())
    assert summary["finished"]
    assert list(summary["seconds"]) == ["train", "export", "compile", "simulate", "verify", "energy"]
    assert summary["parity_mismatches"] == 0
    assert 0 <= summary["accuracy_float"] <= 1 and 0 <= summary["accuracy_8bit"] <= 1
    assert verified == [{"video": 4, "audio": 4}]
    assert (summary["lava_samples"], summary["lava_values_compared"], summary["lava_mismatches"]) == (4, 1000, 0)
    assert summary["energy_snn_pj"] > 0 and summary["energy_ann_pj"] > 0
    assert summary["versions"]["snnergy"]
    for artefact in ("training/checkpoint.pt", "model.nir", "model.net", "activity.h5", "report/report.html"):
        assert (output / artefact).is_file(), artefact
    words = capsys.readouterr().out
    assert "\n\n[2/6] " in words and "\\n" not in words
    assert "[6/6]" in words and "1,000" in words and str(output / "report" / "report.html") in words


def test_where_lava_cannot_run_the_demo_says_so(tmp_path, verified, monkeypatch, capsys):
    monkeypatch.setattr(module, "_LAVA_ENDS", (3, 0))
    run = module._Demo(tmp_path, Terminal(), module.FULL, module._empty_summary())
    module._verify(run, None)
    assert verified == []
    assert run.summary["lava_samples"] is None and run.summary["lava_mismatches"] is None
    assert "Lava runs on Python 3.10 only" in capsys.readouterr().out


def test_the_quick_demo_changes_fields_that_the_experiment_has():
    quick = load_config(module.EXPERIMENT, module.QUICK.changes)
    assert quick.train.epochs == 2 and quick.model.base_dim == 8
    assert quick.model.time_steps < load_config(module.EXPERIMENT).model.time_steps


def test_a_demo_replaces_an_earlier_one_whole_even_an_unfinished_one(tmp_path):
    folder = tmp_path / "demo"
    module._begin(folder, "digits", force=False)
    (folder / "training").mkdir()
    for name in ("training/checkpoint.pt", "model.net"):
        (folder / name).write_text("of the first demo")
    with pytest.raises(UserError, match="exists already"):
        module._begin(folder, "digits", force=False)
    assert (folder / "model.net").exists()
    module._begin(folder, "digits", force=True)
    assert [path.name for path in folder.iterdir()] == [".snnergy"]


def test_a_folder_of_somebody_else_is_not_replaced(tiny, tmp_path):
    (tmp_path / "thesis.tex").write_text("years")
    (tmp_path / "summary.json").write_text('{"command": "snnergy demo"}')
    with pytest.raises(UserError, match="snnergy demo did not write"):
        module.demo(tmp_path, Terminal(), config=tiny.config_file, force=True)
    assert (tmp_path / "thesis.tex").read_text() == "years"


def test_a_demo_folder_that_holds_the_experiment_or_other_work_is_kept(tiny, tmp_path):
    folder = tmp_path / "demo"
    module._begin(folder, "digits", force=False)
    config = folder / "training" / "mine.yaml"
    config.parent.mkdir()
    config.write_text(tiny.config_file.read_text())
    with pytest.raises(UserError, match="holds the input"):
        module.demo(folder, Terminal(), config=config, force=True)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"holds notes\.txt, which snnergy demo did not write"):
        module.demo(folder, Terminal(), config=tiny.config_file, force=True)
    assert config.exists() and (folder / "notes.txt").exists()


@pytest.mark.parametrize("target", [".", ".."])
def test_the_working_directory_is_never_replaced(tiny, tmp_path, monkeypatch, target):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(UserError, match="working directory"):
        module.demo(module.Path(target), Terminal(), config=tiny.config_file, force=True)
    assert (tmp_path / "here").is_dir()


def test_lava_that_disagrees_fails_the_demo_after_its_summary(cli, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "demo", lambda *_, **__: {"lava_mismatches": 2, "finished": True})
    outcome = cli("demo", "-o", tmp_path / "demo", "--json")
    assert outcome.code == 3
    assert outcome.json["lava_mismatches"] == 2
    assert "2 values" in outcome.err
