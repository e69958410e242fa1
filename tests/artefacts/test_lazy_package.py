"""A lazy package: what it exports is imported at the first look, and it may be called by its main function."""

import subprocess
import sys
from pathlib import Path

import pytest

FILES = {
    "__init__.py": (
        "from snnergy.artefacts.lazy_package import make_lazy\n"
        "make_lazy(__name__, {'twice': 'parcel.numbers', 'numbers': 'parcel.numbers', 'gone': 'parcel.numbers'},"
        " main='twice')\n"
    ),
    "numbers.py": "print('loaded')\ndef twice(number, *, plus=0):\n    return 2 * number + plus\n",
}


@pytest.fixture
def says(tmp_path):
    """What a program prints that stands beside the package `parcel`."""
    folder = tmp_path / "parcel"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)

    def run(program: str) -> list[str]:
        (tmp_path / "program.py").write_text(program)
        done = subprocess.run([sys.executable, tmp_path / "program.py"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    return run


def test_a_name_is_imported_at_the_first_look_alone(says):
    assert says("import parcel\nprint('light')\nprint(parcel.twice(2))\nprint(parcel.twice(3))\n") == [
        "light",
        "loaded",
        "4",
        "6",
    ]


def test_the_package_is_its_main_function_however_it_was_imported(says):
    program = "import parcel.numbers\nimport parcel\nprint(parcel(4, plus=1), parcel.numbers.twice(1))\n"
    assert says(program) == ["loaded", "9", "2"]


def test_a_submodule_stands_for_itself(says):
    assert says("import parcel\nprint(type(parcel.numbers).__name__)\n") == ["loaded", "module"]


def test_a_name_that_is_not_exported_is_an_attribute_error(says):
    program = (
        "import parcel\n"
        "for name in ('absent', 'gone'):\n"
        "    try:\n"
        "        getattr(parcel, name)\n"
        "    except AttributeError as error:\n"
        "        print(str(error).split()[-1])\n"
        "print('twice' in dir(parcel))\n"
    )
    assert says(program) == ["'absent'", "loaded", "'gone'", "True"]


def test_only_packages_with_a_main_function_can_be_called():
    import snnergy

    with pytest.raises(TypeError, match="'snnergy' is not callable"):
        snnergy()
    assert Path(snnergy.__file__).name == "__init__.py"
