"""The fuzzer finds what it looks for: fake commands that break each part of the promise, and one that keeps it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.fuzz.child import CPU_S, ROOT, Place, Ran
from tests.fuzz.judge import judge

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the watch over files is Linux' inotify")

FAKES = {
    "nothing": ([], "return no()"),
    "accepted": ([], "open('out', 'w').close()\nreturn 0"),
    "traceback": (["internal_errors"], "raise KeyError('x')"),
    "exit code 1": (["internal_errors"], "return 1"),
    "segmentation fault": (["internal_errors"], "import ctypes; ctypes.string_at(0)"),
    "a file beside": (["leftovers"], "open('out', 'w').close()\nopen('other', 'w').close()\nreturn 0"),
    "a file after a refusal": (["leftovers"], "open('out', 'w').close()\nreturn no()"),
    "a folder in the scratch": (["leftovers"], "import tempfile; tempfile.mkdtemp()\nreturn no()"),
    "input changed": (["leftovers"], "open('given', 'a').write('x')\nreturn 0"),
    "input removed": (["leftovers"], "os.remove('given')\nreturn 0"),
    "a process": (["code_run"], "os.system('true')\nreturn no()"),
    "a payload": (["code_run", "foreign_files"], "open(canary.marker, 'w').close()\nreturn no()"),
    "a pickle": (
        ["code_run"],
        "import pickle\nfrom tests.fuzz import values\npickle.loads(pickle.dumps(values.Payload('x', 4)))\nreturn no()",
    ),
    "a connection": (["code_run"], "import socket\nsocket.socket(socket.AF_UNIX).connect_ex('nowhere')\nreturn no()"),
    "a foreign file read": (["foreign_files"], "canary.text.read_bytes()\nreturn no()"),
    "a foreign file read in C": (["foreign_files"], "import h5py\nh5py.File(canary.hdf5)['numbers'][:]\nreturn no()"),
    "a secret shown": (["foreign_files"], "from tests.fuzz.canary import SECRET\nprint(SECRET.decode())\nreturn 0"),
    "a foreign file written": (["foreign_files"], "open(canary.folder.parent / 'new', 'w').close()\nreturn no()"),
    "a foreign folder": (["foreign_files"], "os.mkdir('../new-folder')\nreturn no()"),
    "a foreign file renamed": (["foreign_files"], "os.rename(canary.text, canary.hdf5)\nreturn no()"),
    "memory": (["over_budget"], "bytearray(3 << 30)\nreturn no()"),
    "memory by and by": (["over_budget"], "blocks = [bytes([1]) * (1 << 20) for _ in range(2500)]\nreturn no()"),
    "time": (["over_budget"], "while True:\n    pass"),
    "many lines": (["unclear"], "print('snnergy: x\\n' * 13, file=sys.stderr)\nreturn 2"),
    "a warning": (["unclear"], "print('RuntimeWarning\\nsnnergy: x', file=sys.stderr)\nreturn 2"),
    "an escape": (["unclear"], "print('snnergy: \\x1b[31m', file=sys.stderr)\nreturn 2"),
    "silence": (["unclear"], "return 2"),
}  # fmt: skip


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """The categories of fault of each fake command."""
    work = tmp_path_factory.mktemp("fakes")
    commands = json.dumps({name: code for name, (_, code) in FAKES.items()})
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.fakes", work], cwd=ROOT, input=commands, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", FAKES)
def test_a_fault_is_found_and_no_other(name, found):
    assert found[name] == sorted(FAKES[name][0])


def test_much_time_is_a_fault_though_the_command_ends(tmp_path):
    place = Place(tmp_path / "case", tmp_path / "scratch")
    slow = Ran(0, 0, CPU_S + 1.0, 0, "", "", (), b"", b"")
    assert [fault.category for fault in judge(slow, place, {}, [], [], "fake")] == ["over_budget"]
