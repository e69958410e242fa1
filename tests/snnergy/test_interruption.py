"""A program that is interrupted says so in one line, from its first import on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, sys
from snnergy import entry

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == wanted:
            sys.meta_path.remove(self)
            for number in numbers:
                os.kill(os.getpid(), number)

_, wanted, *numbers = sys.argv
numbers = [int(number) for number in numbers]
sys.argv[1:] = ["simulate", "m.net", "--input", "x.npz"]
sys.meta_path.insert(0, Interrupting())
"""
DURING_IMPORTS = f"{PROGRAM}sys.exit(entry.main())"
# What is raised in a destructor is lost there.
IN_A_DESTRUCTOR = f"""{PROGRAM}
import time
from snnergy import cli

class Dying:
    def __del__(self):
        os.kill(os.getpid(), numbers[0])

def command(*_, **__):
    Dying()
    time.sleep(600)

cli.typer.main.get_command = lambda _: cli.TyperGroup()
cli.TyperGroup.main = command
sys.exit(cli.main())
"""


def interrupted(program, *arguments):
    """Exit code and words of a program that is to be interrupted."""
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=os.environ | {"PYTHONPATH": root})
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("module", "numbers", "code"),
    [
        ("typer", (signal.SIGINT, signal.SIGINT), 130),  # of the command line
        ("typer", (signal.SIGTERM,), 143),
        ("numpy", (signal.SIGINT, signal.SIGINT), 130),  # of a command
        ("h5py", (signal.SIGHUP, signal.SIGINT), 129),
    ],
)
def test_an_interruption_during_imports_is_one_line(module, numbers, code):
    assert interrupted(DURING_IMPORTS, module, *map(int, numbers)) == (code, "snnergy: interrupted\n")


def test_an_interruption_is_not_lost_in_a_destructor():
    assert interrupted(IN_A_DESTRUCTOR, "none", int(signal.SIGINT)) == (130, "snnergy: interrupted\n")


def test_what_a_program_was_started_to_ignore_stays_ignored():
    ignoring = f"import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n{DURING_IMPORTS}"
    code, said = interrupted(ignoring, "typer", int(signal.SIGHUP))
    assert code == 2 and said.startswith("snnergy: m.net: no such file")
