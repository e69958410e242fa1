"""Every system of the comparison: what each must keep to, sizes that sources state, its place in the harness."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import yaml

from benchmarks.tables_page.published import RESIDUAL, SIZES
from benchmarks.tables_page.sizes import parameters
from snnergy.artefacts.errors import UserError
from snnergy.training import checkpoint
from snnergy.training.config.experiment import from_dict, load_config, to_dict, to_yaml
from snnergy.training.config.packaged import packaged_experiments
from snnergy.training.loop.train import train
from snnergy.training.model.layers import POPULATIONS
from snnergy.training.systems import misnet
from snnergy.training.systems.size import outline
from tests.training.helpers import tiny_config
from tests.training.small_systems import LABELS, SHARED, SPIKING, SYSTEMS, alive, images, lively, network

each = pytest.mark.parametrize("name", SYSTEMS)


@each
def test_a_sample_does_not_depend_on_its_batch_or_on_what_was_before(name):
    """In float64: batches of other sizes may add up in another order, whose last bits decide a spike in float32."""
    net = alive(name).double()
    video, audio = images(4, dtype=torch.float64)
    with torch.no_grad():
        together = net(video, audio)
        assert torch.equal(net(video, audio), together)
        for b in (0, 2):
            torch.testing.assert_close(net(video[:, b : b + 1], audio[:, b : b + 1])[0], together[b])


@each
def test_time_order_matters_to_spikes(name):
    net, (video, audio) = alive(name), images(3)
    turned = [x[[1, 2, 0]] for x in (video, audio if name in SPIKING else video)]
    with torch.no_grad():
        before, after = net(video, audio), net(turned[0], turned[1] if name in SPIKING else audio)
    assert torch.allclose(before, after, atol=1e-5) == (name not in SPIKING)


@each
@pytest.mark.parametrize("blank", ["video", "audio"])
def test_each_modality_that_a_system_sees_matters(name, blank):
    net, (video, audio) = alive(name), images(3)
    sees = getattr(net.config, "modality", blank) == blank
    with torch.no_grad():
        before, after = net(video, audio), net(video * (blank != "video"), audio * (blank != "audio"))
    assert torch.allclose(before, after) != sees


@each
def test_every_parameter_gets_a_gradient(name):
    """In the sum over a few steps: in one of them a neuron may be far from its threshold."""
    net = lively(network(name)).train()
    seen = {path: torch.zeros(()) for path, _ in net.named_parameters()}
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    for step in range(5):
        outputs = net.outputs(*images(8, seed=step))
        optimizer.zero_grad()
        net.loss(outputs, LABELS, 0.1, progress=0.9).backward()
        net.modulate(outputs, LABELS, progress=0.0)
        optimizer.step()
        for path, p in net.named_parameters():
            assert p.grad is not None, path
            seen[path] = seen[path] + p.grad.abs().sum()
    assert [path for path, total in seen.items() if not total > 0] == []


@each
def test_groups_hold_every_parameter_once(name):
    net = network(name)
    groups = net.groups()
    assert list(groups) == ["audio", "video", "fusion", "head"]
    found = [id(p) for parameters in groups.values() for p in parameters]
    assert sorted(found) == sorted(id(p) for p in net.parameters())
    for modality in ("audio", "video"):
        sees = getattr(net.config, "modality", modality) == modality
        assert bool(groups[modality]) == sees


@each
def test_a_group_of_an_encoder_is_reached_from_its_own_modality_alone(name):
    """The first convolution of each: a gradient flows from the loss to the image that it reads."""
    net, inputs = network(name).train(), [x.requires_grad_() for x in images(8)]
    net(*inputs).sum().backward()
    for modality, image in zip(("video", "audio"), inputs, strict=True):
        reached = image.grad is not None and bool(image.grad.any())
        assert reached == bool(net.groups()[modality])


@each
def test_memory_is_estimated_from_above(name):
    net = network(name).eval()
    made = []
    kinds = (*POPULATIONS, misnet.CLIF, torch.nn.ReLU)
    hooks = [
        module.register_forward_hook(lambda _, __, out: made.append(out[0, 0].numel()))
        for module in net.modules()
        if isinstance(module, kinds)
    ]
    with torch.no_grad():
        net(*images(1))
    for hook in hooks:
        hook.remove()
    assert 0 < sum(made) <= net.config.activations
    assert outline(net.config, "x").state_dict().keys() == net.state_dict().keys()


# sizes that the sources state


@pytest.mark.parametrize("size", SIZES, ids=lambda size: size.name)
def test_a_system_has_as_many_parameters_as_published(size):
    assert parameters(size.model) / 1e6 == pytest.approx(size.millions, rel=0.05)


def test_residual_networks_have_18_layers():
    assert parameters(RESIDUAL.model) / 1e6 == pytest.approx(RESIDUAL.millions, rel=0.001)


# in the harness


PACKAGED = sorted(name for name in packaged_experiments() if name.startswith("table1/"))


@pytest.mark.parametrize("name", PACKAGED)
def test_packaged_experiments_are_of_every_system(name):
    config = load_config(name)
    assert config.name == name.replace("/", "-")
    assert from_dict(yaml.safe_load(to_yaml(config)), "again") == config
    outline(config.model, name)


def test_there_is_an_experiment_for_every_row():
    found = {load_config(name).model.system for name in PACKAGED}
    assert found == {config.system for config in SYSTEMS.values()} - {"snnergy"}
    assert len(PACKAGED) == 28


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"system": "cmcl"}, "model.system = 'cmcl': Input should be 'snnergy', 'qkformer'"),
        ({"system": [1]}, "model.system = '[1]': Input should be"),
        ({"system": "sca", "heads": 5}, "model.heads = 5: must divide base_dim = 8"),
        ({"system": "cmci", "heads": 4}, "model.heads is not a field"),
        ({"system": "qkformer"}, "model.modality is missing"),
    ],
)
def test_what_is_wrong_with_the_section_of_a_system(changes, line):
    fields = to_dict(tiny_config()) | {"model": SHARED | {"classes": 10} | changes}
    with pytest.raises(UserError) as caught:
        from_dict(fields, "experiment")
    assert caught.value.violations[0].startswith(f"experiment: {line}")


@pytest.mark.usefixtures("few_digits")
@pytest.mark.parametrize("name", ["ogm_ge-film", "pmr-concat"])
def test_a_system_trains_from_the_harness_and_its_checkpoint_loads(name, tmp_path, monkeypatch):
    net, calls = type(network(name)), []
    for hook in ("start_epoch", "modulate"):
        whole = getattr(net, hook)
        monkeypatch.setattr(net, hook, lambda *a, w=whole, h=hook: (calls.append((h, len(a[1]))), w(*a))[1])
    config = tiny_config()
    train_config = replace(config.train, batch_size=64, accumulate=2)
    config = replace(config, model=replace(SYSTEMS[name], classes=10, image_size=16), train=train_config)
    result = train(config, output=tmp_path, threads=1)
    assert calls[0][0] == "start_epoch"
    assert [call[0] for call in calls].count("modulate") == len(calls) - 1
    loaded = checkpoint.load(result.checkpoint)
    assert type(loaded.network) is net
    assert loaded.config == config
