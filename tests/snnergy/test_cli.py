"""Exit codes, streams and help of the command line."""

import json
import re
import subprocess
import sys

import nir
import numpy as np
import pytest

from snnergy import cli as module
from snnergy.artefacts.errors import BackendFailed, CheckFailed, OutputRefused, SnnergyError, UserError
from tests.neuromorphic import graphs
from tests.neuromorphic.test_read_nir import chain, flat

COMMANDS = ("demo", "train", "samples", "export", "inspect", "compile", "simulate", "energy")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_has_an_example(cli, command):
    outcome = cli(command, "--help")
    assert outcome.code == 0
    assert re.search(rf"Example: (snnergy {command}|export-nir) ", outcome.out)
    assert "--json" in outcome.out and "--debug" in outcome.out
    assert ("--force" in outcome.out) == (command != "inspect")  # which writes nothing


def test_every_command_is_listed(cli):
    outcome = cli()
    assert outcome.code == 0
    assert all(f" {command} " in outcome.out for command in COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["frobnicate"], "snnergy: No such command 'frobnicate'"),
        (["compile"], "snnergy compile: Missing"),
        (["compile", "m.nir", "--nope"], "snnergy compile: No such option"),
        (["simulate", "m.net", "--input", "x.npz", "--backend", "gpu"], "snnergy simulate: Invalid value"),
        (["simulate", "m.net", "--input", "x.npz", "--count", "0"], "snnergy simulate: Invalid value"),
        (["train", "digits", "--seed", "one"], "snnergy train: Invalid value"),
    ],
)
def test_usage_errors_are_one_line_and_exit_2(cli, arguments, message):
    outcome = cli(*arguments)
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.startswith(message)
    assert outcome.err.count("\n") == 1 and "--help" in outcome.err


def test_what_holds_for_all_nodes_or_for_one_by_name(cli, tmp_path):
    ports = flat(2)
    nir.write(tmp_path / "m.nir", chain(ports[0], graphs.lif((2,)), nir.Linear(np.eye(2)), graphs.lif((2,)), ports[1]))
    asked = ("--dt", "1", "--gain", "one", "--reset", "n1=late-hard", "--reset", "n3=late-soft")
    outcome = cli("inspect", tmp_path / "m.nir", *asked, "--json")
    own = {"n1": {"reset": "late-hard"}, "n3": {"reset": "late-soft"}}
    conventions = {"dt": 1.0, "reset": "hard", "spikes": "one", "integration": "euler", "gain": "one", "own": own}
    assert outcome.code == 0 and json.loads(outcome.out)["conventions"] == conventions
    for wrong, message in (
        (("--reset", "soft", "--reset", "n1=hard"), "reset 'soft': is for all, others have names; give NAME=soft"),
        (("--gain", "n9=one"), "gain of 'n9': there is no such neuron or readout; there are n1, n3"),
        (("--integration", "exact"), "integration 'exact': must be one of euler, exponential"),
    ):
        outcome = cli("compile", tmp_path / "m.nir", *wrong)
        assert outcome.code == 2 and message in outcome.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SnnergyError("lost"), 1),
        (BackendFailed("lost"), 1),
        (UserError(["lost", "found"]), 2),
        (CheckFailed("lost"), 3),
    ],
)
def test_our_errors_end_with_their_code_and_a_line_each(cli, monkeypatch, error, code):
    def fail(_path, _changes):
        raise error

    monkeypatch.setattr("snnergy.training.config.experiment.load_config", fail)
    outcome = cli("train", "c.yaml")
    assert outcome.code == code
    expected = ["lost", "found"] if isinstance(error, UserError) else ["lost"]
    assert outcome.err.splitlines() == [f"snnergy: {line}" for line in expected]
    assert "Traceback" in cli("train", "c.yaml", "--debug").err


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            OutputRefused("m.net: is there", replaceable=True),
            "m.net: is there; pass --force to replace it or -o to",
        ),
        (OutputRefused("m.net: is the input"), "m.net: is the input; pass -o with another path"),
    ],
)
def test_a_refused_output_names_the_options_that_help(cli, monkeypatch, error, line):
    def fail(_path, _changes):
        raise error

    monkeypatch.setattr("snnergy.training.config.experiment.load_config", fail)
    outcome = cli("train", "c.yaml")
    assert outcome.code == 2
    assert outcome.err.startswith(f"snnergy: {line}") and outcome.err.count("\n") == 1
    assert ("--force" in outcome.err) == error.replaceable and "True" not in outcome.err


@pytest.mark.parametrize("stop", ["plain", "lightning"])
def test_ctrl_c_exits_130(cli, monkeypatch, stop):
    def interrupt(_path, _changes):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            if stop == "plain":
                raise
            sys.exit(1)  # what Lightning's trainer does after its own clean-up

    monkeypatch.setattr("snnergy.training.config.experiment.load_config", interrupt)
    outcome = cli("train", "c.yaml")
    assert outcome.code == 130
    assert outcome.err.endswith("snnergy: interrupted\n")


@pytest.mark.parametrize(
    ("arguments", "start"),
    [([], "snnergy: internal error, ZeroDivisionError: "), (["--debug"], "Traceback")],
)
def test_a_bug_is_one_line_and_exit_1_in_the_real_program(arguments, start):
    code = "import sys; from snnergy import cli; cli.run = lambda *_, **__: 1 // 0; sys.exit(cli.main())"
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=600)
    assert done.returncode == 1
    assert done.stderr.startswith(start)
    assert arguments or done.stderr.count("\n") == 1


def test_export_nir_is_the_export_command(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["export-nir", "--help"])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(module.interruption, "take", lambda: None)
    assert module.export_nir_main() == 0
    assert "Usage: export-nir" in capsys.readouterr().out


def test_version_is_printed(cli):
    assert re.fullmatch(r"snnergy \d+\.\d+\.\d+\n", cli("--version").out)
