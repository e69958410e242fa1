"""How long work shows where it is: a line every half minute off a terminal, nothing for short work or beside JSON."""

import io
import json
import subprocess
import sys

import pytest

from snnergy.artefacts.display import printable
from snnergy.progress_lines import LINE_EVERY_S, ProgressLines
from snnergy.terminal import Terminal


class Clock:
    """A clock that moves when it is waited for, and work that goes on for `seconds`."""

    def __init__(self, seconds, work):
        self.now = 100.0
        self.end = self.now + seconds
        self.work = work

    def __call__(self):
        return self.now

    def wait(self, timeout):
        self.now += timeout
        self.work()
        return self.now >= self.end


def test_long_work_says_how_far_it_is_every_half_minute():
    said = []
    clock = Clock(95, work=lambda: lines.advance(4))
    lines = ProgressLines("simulating", 20, said.append, clock)
    lines.follow(clock)
    assert said == ["simulating: 4 of 20, 30 s", "simulating: 8 of 20, 60 s", "simulating: 12 of 20, 90 s"]


def test_work_of_unknown_length_says_for_how_long():
    said = []
    clock = Clock(2 * LINE_EVERY_S, work=lambda: None)
    ProgressLines("compiling model.nir", None, said.append, clock).follow(clock)
    assert said == ["compiling model.nir: 30 s"]


def test_the_length_of_work_may_be_known_later():
    said = []
    clock = Clock(2 * LINE_EVERY_S, work=lambda: None)
    lines = ProgressLines("compiling model.nir", None, said.append, clock)
    lines.advance(0, 101)
    lines.advance(3)
    lines.follow(clock)
    assert said == ["compiling model.nir: 3 of 101, 30 s"]


def test_off_a_terminal_short_work_says_nothing_and_long_work_a_line(monkeypatch, capsys):
    terminal = Terminal()
    with terminal.progress("short", total=2) as advance:
        advance(2)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr("snnergy.progress_lines.LINE_EVERY_S", 0.01)
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    with terminal.progress("long", total=2) as advance:
        advance(1)
        while written.getvalue().count("\n") < 2:
            pass
    assert written.getvalue().splitlines()[0] == "long: 1 of 2, 0 s"


def test_beside_json_there_is_nothing(monkeypatch, capsys):
    monkeypatch.setattr("snnergy.progress_lines.LINE_EVERY_S", 0.001)
    terminal = Terminal()
    with terminal.use_json(), terminal.progress("long") as advance:
        advance(1)
    assert terminal.follow is None
    assert capsys.readouterr() == ("", "")


def test_training_is_followed_by_lines_in_a_log_and_by_a_bar_on_a_terminal(monkeypatch, capsys):
    follow = Terminal().follow
    assert callable(follow)
    follow("epoch 1/2")
    assert capsys.readouterr() == ("", "epoch 1/2\n")
    monkeypatch.setattr(Terminal, "shows_progress", True)
    assert Terminal().follow == "bar"


def test_an_error_in_followed_work_ends_its_lines():
    terminal = Terminal()
    with pytest.raises(ZeroDivisionError), terminal.progress("failing"):
        _ = 1 // 0


EVIL = "a\x1b[2J\x9b1m\x07\r\b\u202eb\nsecond line[/bold] :bug: \udc80"
SHOWN = "a\\x1b[2J\\x9b1m\\x07\\r\\x08\\u202eb\\nsecond line[/bold] :bug: \\udc80"


def test_text_becomes_one_line_that_does_nothing():
    assert printable(EVIL) == SHOWN
    assert printable("Grüße, → 日本 · 2 ×") == "Grüße, → 日本 · 2 ×"


@pytest.mark.parametrize("character", ["x", "\x1b", "\U000e0001"])
def test_a_line_has_an_end(character):
    line = printable("begin" + character * 1_000_000 + "end")
    assert len(line) == 2000
    assert line.startswith("begin") and line.endswith("end") and "…" in line


def test_everything_for_people_goes_through_it(capsys):
    terminal = Terminal()
    terminal.say(EVIL)
    terminal.follow(EVIL)
    terminal.table(EVIL, (EVIL, "b"), [(EVIL, EVIL)])
    out, err = capsys.readouterr()
    assert out.startswith(f"{SHOWN}\n") and err == f"{SHOWN}\n"
    assert all(character.isprintable() or character == "\n" for character in out + err)


def test_json_is_ascii_that_reads_back(capsys):
    terminal = Terminal()
    with terminal.use_json():
        terminal.result({"name": EVIL})
    text = capsys.readouterr().out
    assert text.isascii() and text.count("\n") == 1 and json.loads(text)["name"] == EVIL


def test_an_error_with_escapes_in_it_stays_on_its_lines(cli, tmp_path):
    outcome = cli("compile", tmp_path / "no\nsuch\x1b[31m\u202e.nir")
    assert outcome.code == 2
    (line,) = outcome.err.splitlines()
    assert "no\\nsuch\\x1b[31m\\u202e.nir: no such file" in line


def test_a_terminal_that_shows_ascii_alone_gets_escapes():
    program = (
        "import logging, warnings; from snnergy.terminal import Terminal, print_safely; print_safely();"
        "Terminal().say('2 × →\\x1b'); Terminal().table('×', ('→', 'b'), [('×', '日')]);"
        "logging.getLogger('x').warning('\\x1b[2J →\\nb'); warnings.warn('\\x1b[2J →\\nb')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONIOENCODING": "ascii", "LANG": "C"}, capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"2 \\xd7 \\u2192\\x1b\n") and b"\x1b" not in done.stdout + done.stderr
    assert done.stderr.count(b"\n") == 2


def test_a_narrow_terminal_keeps_the_names_of_rows_whole(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "60")
    name = "stage2.block1.audio.temporal.query"
    Terminal().table("nodes", ("node", *("a figure of some width",) * 4), [(name, *("0.123456",) * 4)])
    first = "".join(line.split("│")[1].strip() for line in capsys.readouterr().out.splitlines() if line.startswith("│"))
    assert first == name
