"""checkpoint.pt: what is written comes back, and each way in which a file can be wrong is one clear refusal."""

from __future__ import annotations

import zipfile

import pytest
import torch

from snnergy.artefacts.errors import UserError
from snnergy.training import checkpoint, torch_archive
from snnergy.training.config.experiment import to_dict
from snnergy.training.model.network import SNNergy
from snnergy.training.systems.size import sample_bytes
from tests.training.helpers import randomise, tiny_config


class Code:
    """A pickle of this runs code when it is read."""

    def __reduce__(self):
        return (print, ("code ran",))


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    config = tiny_config()
    network = randomise(SNNergy(config.model))
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, network, config, {"val_accuracy": 0.5})
    return path, network, config


def change(path, **changes):
    """Rewrite a checkpoint with other values; None removes a key."""
    content = torch.load(path, weights_only=True) | changes
    torch.save({key: value for key, value in content.items() if value is not None}, path)


def refusal(path) -> str:
    with pytest.raises(UserError) as caught:
        checkpoint.load(path)
    return str(caught.value)


def test_round_trip(saved):
    path, network, config = saved
    loaded = checkpoint.load(path)
    assert (loaded.config, loaded.seed, loaded.metrics) == (config, config.seed, {"val_accuracy": 0.5})
    assert "torch" in loaded.versions
    assert loaded.git_revision
    assert not loaded.network.training
    inputs = [torch.rand(3, 2, 1, 16, 16, generator=torch.Generator().manual_seed(i)) for i in range(2)]
    with torch.no_grad():
        assert torch.equal(loaded.network(*inputs), network(*inputs))


@pytest.mark.parametrize(
    ("options", "fusion"),
    [
        ({"fusion": "fixed_gate"}, "fixed_gate"),
        ({"variant": "spatial"}, "gated_sum"),
        ({"profile": "paper"}, "gated_sum"),
    ],
)
def test_one_from_before_the_choice_of_fusions_has_the_fixed_gate(tmp_path, options, fusion):
    """Its config names no fusion, and has gains whether there is a gate or not."""
    config, path = tiny_config(**options), tmp_path / "checkpoint.pt"
    checkpoint.save(path, randomise(SNNergy(config.model)), config, {})
    fields = to_dict(config)
    del fields["model"]["fusion"]
    fields["model"] |= {"gain_space": 41.0, "gain_time": 1.5}
    change(path, config=fields)
    loaded = checkpoint.load(path).config.model
    assert loaded.fusion == fusion
    assert (loaded.gain_space, loaded.gain_time) == ((41.0, 1.5) if fusion == "fixed_gate" else (None, None))


def test_is_not_overwritten_unasked(saved):
    path, network, config = saved
    with pytest.raises(UserError, match="exists already"):
        checkpoint.save(path, network, config, {})
    checkpoint.save(path, network, config, {"val_accuracy": 0.75}, force=True)
    assert checkpoint.load(path).metrics == {"val_accuracy": 0.75}


def test_missing(tmp_path):
    assert "no such file" in refusal(tmp_path / "checkpoint.pt")


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_truncated(saved, share):
    path, _, _ = saved
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert "truncated" in refusal(path)


def test_damaged_inside(saved):
    path, _, _ = saved
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    assert "is damaged" in refusal(path)


@pytest.mark.parametrize(
    ("offset", "value"),
    [(0, 0x51), (10, 99), (8, 0x01), (46, 0xFF)],
    ids=["signature", "compression", "encryption", "name"],
)
def test_damaged_table_of_contents(saved, offset, value):
    path, _, _ = saved
    with zipfile.ZipFile(path) as archive:
        entry = archive.start_dir
    content = bytearray(path.read_bytes())
    content[entry + offset] |= value
    path.write_bytes(content)
    assert "is damaged" in refusal(path)


def test_a_flipped_bit_at_the_end_is_harmless_or_refused(saved):
    path, network, _ = saved
    whole = path.read_bytes()
    weight = network.head.linear.weight
    refused = 0
    for place in range(len(whole) - 98, len(whole)):  # the three records that end a torch file
        content = bytearray(whole)
        content[place] ^= 1
        path.write_bytes(content)
        try:
            assert torch.equal(torch_archive.read(path)["state_dict"]["head.linear.weight"], weight)
        except torch_archive.Damaged:
            refused += 1
    assert refused > 30


@pytest.mark.parametrize(
    "members",
    [
        {"readme": b"not a network"},
        {"x/data.pkl": b"not a pickle"},
        {"x/data.pkl": b".", "x/version": b"3\n"},
        {"x/data.pkl": b"X\x01\x00\x00\x00\xff.", "x/version": b"3\n"},
    ],
    ids=["nothing", "no version", "no pickle", "no text"],
)
def test_another_archive(tmp_path, members):
    path = tmp_path / "checkpoint.pt"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    assert "is damaged or no checkpoint" in refusal(path)


def test_code_is_refused_and_not_run(saved, capsys):
    path, _, _ = saved
    change(path, metrics=Code())
    assert "could run code when read: refused" in refusal(path)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("version", [2, "1", None])
def test_other_format(saved, version):
    path, _, _ = saved
    change(path, format_version=version)
    assert f"format_version is {version!r}" in refusal(path)


def test_something_else(saved):
    path, _, _ = saved
    torch.save([1, 2], path)
    assert "format_version is None" in refusal(path)


def test_keys(saved):
    path, _, _ = saved
    change(path, seed=None, metrics=None, extra=1)
    assert refusal(path).count("\n") == 2
    assert "lacks 'seed'" in refusal(path)
    assert "'extra' is not part" in refusal(path)


def test_weights_that_do_not_fit(saved):
    path, network, _ = saved
    weights = network.state_dict()
    weights["head.linear.weight"] = torch.zeros(3, 3)
    weights["stranger"] = weights.pop("head.linear.bias")
    change(path, state_dict=weights)
    message = refusal(path)
    assert "head.linear.weight has shape (3, 3), its config asks for (10, 32)" in message
    assert "head.linear.bias is missing" in message
    assert "stranger is not in the network" in message


def test_config_inside_is_validated(saved):
    path, _, _config = saved
    content = torch.load(path, weights_only=True)["config"]
    content["model"]["heads"] = 3
    change(path, config=content)
    assert "model.heads = 3: must divide base_dim = 4" in refusal(path)


@pytest.mark.parametrize(
    ("field", "value", "line"),
    [
        ("metrics", {"val_accuracy": float("nan")}, "metrics['val_accuracy'] = nan: must be a finite number"),
        ("metrics", [1], "metrics = [1]: must be a dict"),
        ("metrics", {"a": {"b": 1}}, "metrics['a'] = {'b': 1}: must be"),
        ("metrics", {"a\n": 1}, "metrics['a\\n'] = 1: must be"),
        ("seed", True, "seed = True: must be an integer from 0"),
        ("seed", -1, "seed = -1"),
        ("git_revision", "x" * 10_000, "git_revision = 'xxx"),
        ("versions", {"torch": 2}, "versions['torch'] = 2: must be one short line"),
        ("state_dict", {"a": 1}, "state_dict is not a dict of tensors"),
        ("config", [1], "config:  = [1]: Input should be"),
    ],
)
def test_every_field_is_looked_at(saved, field, value, line):
    path, _, _ = saved
    change(path, **{field: value})
    message = refusal(path)
    assert line in message
    assert len(message) < 500


def test_weights_are_finite_numbers_of_the_networks_type(saved):
    path, network, _ = saved
    weights = dict(network.state_dict())
    weights["head.linear.bias"] = torch.full((10,), float("inf"))
    weights["head.linear.weight"] = weights["head.linear.weight"].double()
    variance = next(name for name in weights if name.endswith("running_var"))
    weights[variance] = weights[variance] - 2
    change(path, state_dict=weights)
    message = refusal(path)
    assert "weight head.linear.bias holds NaN or infinite values" in message
    assert "weight head.linear.weight is torch.float64, must be torch.float32" in message
    assert f"weight {variance} holds variances below 0" in message


@pytest.mark.parametrize(
    "model",
    [{"base_dim": 16384}, {"base_dim": 65536, "depths": [16, 1, 1]}, {"image_size": 65536}, {"time_steps": 4096}],
    ids=lambda model: next(iter(model)),
)
def test_a_network_beyond_the_budget_is_refused_before_it_is_made(saved, model, monkeypatch):
    path, _, _ = saved
    content = torch.load(path, weights_only=True)["config"]
    content["model"] |= model
    change(path, config=content)
    if "base_dim" not in model:
        monkeypatch.setenv("SNNERGY_MEMORY", "64MiB")
    assert "config.model: " in refusal(path)
    assert "of memory" in refusal(path)


@pytest.mark.parametrize("model", [{}, {"profile": "paper", "stage3": "ssa"}, {"variant": "spatial", "mlp_ratio": 4}])
def test_the_memory_of_a_sample_is_estimated_from_above(model):
    config = tiny_config(**{"base_dim": 16, "image_size": 32, **model}).model
    network, neurons = SNNergy(config).eval(), []
    for population in network.populations().values():
        population.register_forward_hook(lambda _, __, spikes: neurons.append(spikes.numel()))
    with torch.no_grad():
        network(*(torch.rand(config.time_steps, 1, 1, 32, 32) for _ in range(2)))
    assert 4 * 3 * sum(neurons) <= sample_bytes(config) <= 2 * 4 * 3 * sum(neurons)
