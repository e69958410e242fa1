"""Experiments: what is read, what is refused, and that everything wrong is said at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from snnergy.artefacts.errors import UserError
from snnergy.training.config.data import GridConfig
from snnergy.training.config.experiment import ModelConfig, from_dict, load_config, to_dict, to_yaml
from tests.training.helpers import TINY, tiny_config

ROOT = Path(__file__).parents[2]


def write(folder: Path, **changes) -> Path:
    """The tiny experiment as a file, with `section__field=value` changes."""
    fields = to_dict(tiny_config())
    for name, value in changes.items():
        *sections, field = name.split("__")
        target = fields
        for section in sections:
            target = target[section]
        target[field] = value
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(fields))
    return path


def violations(path: Path, *overrides: str) -> tuple[str, ...]:
    with pytest.raises(UserError) as caught:
        load_config(path, overrides)
    return caught.value.violations


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_experiments_are_valid(path):
    config = load_config(path)
    assert config.name == path.stem
    assert from_dict(yaml.safe_load(to_yaml(config)), "again") == config


def test_overrides(tmp_path):
    config = load_config(
        write(tmp_path), ["model.blank=video", "seed=3", "train.learning_rate=1e-4", "model.depths=[1, 2, 1]"]
    )
    assert (config.model.blank, config.seed, config.train.learning_rate) == ("video", 3, 1e-4)
    assert config.model.depths == (1, 2, 1)


def test_an_experiment_is_a_file_a_name_fields_or_itself(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = tiny_config()
    assert load_config(config) is config
    fields = to_dict(config)
    assert load_config(fields, ["seed=4"]) == replace(config, seed=4) == load_config(config, ["seed=4"])
    assert fields == to_dict(config)  # what was given is not changed
    assert load_config(str(write(tmp_path))) == config
    assert load_config("digits") == load_config(ROOT / "configs/digits.yaml")
    (tmp_path / "digits").mkdir()
    assert load_config("digits").data.name == "digits"  # a folder is no experiment
    (tmp_path / "digits").rmdir()
    write(tmp_path).rename(tmp_path / "digits")
    assert load_config("digits") == config  # a file of that name goes first


def test_what_is_wrong_with_fields_is_said_without_a_file():
    with pytest.raises(UserError) as caught:
        load_config(to_dict(tiny_config()) | {"seed": -1, "speed": 2})
    assert [line.partition(": ")[0] for line in caught.value.violations] == ["experiment", "experiment"]


def test_a_name_that_is_none_says_which_there_are(tmp_path):
    with pytest.raises(UserError, match=r"nothing: cannot be read .* ave, crema_d, digits, digits-binding, digits-"):
        load_config("nothing")


def test_data_section_is_chosen_by_name(tmp_path):
    fields = to_dict(tiny_config())
    fields["data"] = {"name": "grid", "audio": fields["data"]["audio"], "shift_px": 2}
    path = tmp_path / "grid.yaml"
    path.write_text(yaml.safe_dump(fields))
    assert isinstance(load_config(path).data, GridConfig)


def test_all_violations_at_once(tmp_path):
    path = write(
        tmp_path, model__heads=3, model__profile="brain", train__epochs=0, data__audio__snr_db="loud",
        data__contrst=0.5, name="a/b",
    )  # fmt: skip
    lines = violations(path)
    for field, value in [
        ("model.profile", "'brain'"), ("train.epochs", "0"), ("data.audio.snr_db", "'loud'"),
        ("data.contrst", "not a field"), ("name", "'a/b'"),
    ]:  # fmt: skip
        assert any(f"{path}: {field} " in line and value in line for line in lines), field
    assert len(lines) == 5


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("model.heads=3", "model.heads = 3: must divide base_dim = 4"),
        ("model.stage3=sea", "model.stage3 = 'sea': Input should be 'cmqka' or 'ssa'"),
        ("model.temporal_kernel=4", "model.temporal_kernel = 4: looks further back than time_steps = 3"),
        ("model.image_size=40", "model.image_size = 40: Input should be a multiple of 16"),
        ("model.classes=7", "model.classes = 7: data set 'digits' has 10 in task 'recognition'"),
        ("data.task=correspondence", "model.classes = 10: data set 'digits' has 2 in task 'correspondence'"),
        ("data.task=matching", "data.task = 'matching': Input should be 'recognition', 'correspondence' or 'binding'"),
        ("data.name=mnist", "data.name = 'mnist': Input should be 'digits', 'grid'"),
        ("data={}", "data.name is missing"),
        ("data.audio.ceiling_db=-30", "data.audio.ceiling_db = -30.0: must be above floor_db = -20.0"),
        ("train.speed=9", "train.speed is not a field"),
        ("model.blank", "write it as section.field=value"),
        ("seed.x=1", "'seed' is a value, not a section"),
        ("model.depths=[1,1", "change 'model.depths=[1,1': the value is not YAML"),
        ("seed=4294967296", "seed = 4294967296: Input should be less than 4294967296"),
        ("model.alpha_init=.nan", "model.alpha_init = nan: Input should be a finite number"),
        ("train.warmup_epochs=.inf", "train.warmup_epochs = inf: Input should be a finite number"),
        ("model.gain_time=1.1", "model.gain_time = 1.1: no membrane of the fusion reaches the threshold within"),
        ("model.gain_space=1.1", "model.gain_space = 1.1: no membrane of the fusion reaches the threshold within"),
    ],
)
def test_refusals(tmp_path, override, expected):
    lines = violations(write(tmp_path), override)
    assert len(lines) == 1
    assert expected in lines[0]


@pytest.mark.parametrize("changes", [{"profile": "paper"}, {"variant": "spatial"}, {"gain_time": 8 / 7 + 1e-6}])
def test_a_gain_must_let_attention_pass_where_there_is_a_binary_fusion(changes):
    """In three steps of tau = 2 a constant input of 1 brings a membrane to 1/2 + 1/4 + 1/8 of the gain."""
    with pytest.raises(ValueError, match=r"take 1\.143 or more"):
        replace(TINY, gain_time=1.14)
    assert replace(TINY, **{"gain_time": 1.14} | changes)


def test_missing_fields_and_files(tmp_path):
    path = tmp_path / "short.yaml"
    path.write_text("name: short\n")
    assert [line.split(": ")[1] for line in violations(path)] == [
        "data is missing",
        "model is missing",
        "train is missing",
    ]
    path.write_text("- a\n- list\n")
    assert "holds list" in violations(path)[0]
    path.write_text("a: [1\n")
    assert "is not YAML" in violations(path)[0]
    assert "cannot be read" in violations(tmp_path / "none.yaml")[0]


def test_configs_cannot_be_changed():
    with pytest.raises(AttributeError):
        ModelConfig(time_steps=2, image_size=16, classes=10, base_dim=8).heads = 4


LAUGHS = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (LAUGHS, "an alias"),
        ("&a {b: *a}", "an alias"),
        ("[" * 5000, "more than 16 values within each other"),
        ("a: " * 20, "is not YAML"),
        ("- " * 5000 + "a", "more than 16 values within each other"),
        ("# " + "x" * 70_000, "more than 65536 bytes"),
        ("seed: " + "9" * 5000, "is not YAML"),
        ("seed: 0x" + "f" * 5000, "more than 64 bits"),
        ("seed: 2001-99-99", "is not YAML"),
        ("seed: 2001-01-01", "a date, which no field takes"),
        ("a: !!python/object/apply:os.system [touch trace]", "could not determine a constructor"),
        ("a: !!binary aGVsbG8=", "a bytes, which no field takes"),
        ("a: !!set {b}", "which no field takes"),
        ("seed: 1\nseed: 2", "'seed' is there twice"),
        ("1: 2", "a key that is no text"),
        ("[a]: 2", "a key that is no text"),
        ("name: \0", "special characters are not allowed"),
        ('name: "\\ud800"', "surrogates not allowed"),
        (b"name: \xff", "can't decode byte 0xff"),
        ("", "holds NoneType"),
        ("a\n---\nb", "expected a single document"),
        (f"{'a' * 900}: 1", "is not a field"),
        ("data: [1]", "Input should be"),
    ],
)
def test_text_that_is_no_experiment_is_one_line(tmp_path, text, line, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "e.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    lines = violations(path)
    assert line in " ".join(lines)
    assert all(len(shown) < 600 and shown.isprintable() for shown in lines)
    assert not (tmp_path / "trace").exists()


def test_a_change_is_yaml_as_careful_as_a_file(tmp_path):
    path = write(tmp_path)
    for change in ("seed=" + "9" * 5000, "seed=" + "[" * 5000, "seed=&a [*a]", "seed=\udcff", "x" * 5000, "name.a=1"):
        (line,) = violations(path, change)
        assert len(line) < 400


def numbers(fields, before=()):
    """The path of every number in nested sections."""
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from numbers(value, (*before, name))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield ".".join((*before, name))


FIELDS = [*sorted(numbers(to_dict(tiny_config()))), "model.ssa_scale"]


@pytest.mark.parametrize("value", ["1e308", "-1e308", "9223372036854775807", "-9223372036854775808", ".inf", ".nan"])
def test_every_number_has_two_ends(tmp_path, value):
    path = write(tmp_path)
    for field in FIELDS:
        lines = violations(path, f"{field}={value}")
        assert f"{field} = " in lines[0]


@pytest.mark.parametrize("name", ["../x", "a/b", ".", "..", "", "a" * 101, "a\n", "-x", "a\0"])
def test_the_name_of_a_folder_is_no_path(name):
    with pytest.raises(UserError, match="name = "):
        load_config(to_dict(tiny_config()) | {"name": name})


@pytest.mark.parametrize("root", ["a\0b", "a" * 300, "a/" * 3000, "a\nb", "\ud800"])
def test_a_path_that_no_system_takes_is_refused(root):
    fields = to_dict(tiny_config())
    fields["data"] = {"name": "grid", "audio": fields["data"]["audio"], "root": root}
    with pytest.raises(UserError, match=r"data\.root = .*path"):
        load_config(fields)
