"""The whole network: paths, binary populations, independence of samples, gradients."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import replace
from fractions import Fraction

import pytest
import torch

from snnergy.artefacts.types import Labels
from snnergy.training.model.network import SNNergy
from snnergy.training.model.neurons import LIF
from tests.training.helpers import TINY, randomise

SIZE = TINY.image_size


def network(**fields) -> SNNergy:
    torch.manual_seed(0)
    return randomise(SNNergy(replace(TINY, **fields)))


def images(batch, seed=0, size=SIZE, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.rand(TINY.time_steps, batch, 1, size, size, generator=generator, dtype=dtype) for _ in range(2))


def record(net, video, audio):
    """Output of every population, and logits."""
    seen = {}
    hooks = [
        module.register_forward_hook(lambda _, __, out, path=path: seen.__setitem__(path, out))
        for path, module in net.populations().items()
    ]
    with torch.no_grad():
        logits = net(video, audio)
    for hook in hooks:
        hook.remove()
    return seen, logits


HYBRID = {"stage3": "ssa", "ssa_scale": 1.3}
FIXED = {"fusion": "fixed_gate", "gain_space": 41.0, "gain_time": 3.0}
WHOLE = [{"depths": (1, 2, 1)}, FIXED, HYBRID, {"profile": "paper"}, {"profile": "paper"} | HYBRID]


@pytest.mark.parametrize("options", WHOLE)
def test_populations_are_binary_and_in_forward_order(options):
    net = network(**options)
    seen, logits = record(net, *images(2))
    assert list(seen) == list(net.populations())
    assert logits.shape == (2, 10)
    for path, spikes in seen.items():
        assert set(spikes.unique().tolist()) <= {0.0, 1.0}, path


def test_labels():
    net = network()
    expected = {
        "stage1.video.spds.lif0": (1, None, "video", "stem"),
        "stage1.audio.spds.out": (1, None, "audio", "stem"),
        "stage1.audio.spds.pool1": (1, None, "audio", "pool"),
        "stage2.video.spds.out": (2, None, "video", "spds"),
        "stage3.block0.video.spatial.q": (3, 0, "video", "q"),
        "stage2.block0.audio.temporal.mask": (2, 0, "audio", "mask"),
        "stage1.block0.video.fusion.gate": (1, 0, "video", "gate"),
        "stage1.block0.video.mlp.hidden": (1, 0, "video", "mlp1"),
        "stage1.block0.video.mlp.out": (1, 0, "video", "mlp2"),
    }
    labels = net.labels()
    assert labels.keys() == net.populations().keys()
    for path, (stage, block, modality, role) in expected.items():
        assert labels[path] == Labels(role, stage, block, modality), path
    roles = {label.role for label in labels.values()}
    assert roles == {"stem", "spds", "pool", "q", "k", "mask", "attn", "space", "gate", "mlp1", "mlp2"}
    assert {label.role for label in network(fusion="fixed_gate").labels().values()} == roles | {"time"}
    assert "stage1.block0.video.mlp.hidden_proj" not in labels


@pytest.mark.parametrize(
    ("options", "count", "digest"),
    [
        ({"fusion": "fixed_gate"}, 349, "73ebc13e12fae129"),
        ({"depths": (1, 2, 1), "temporal_kernel": 3, "fusion": "fixed_gate"}, 423, "9d8e04fbac588bb7"),
        ({"stage3": "ssa", "fusion": "fixed_gate"}, 351, "c358811672ecd881"),
        ({"stage3": "ssa", "profile": "paper"}, 351, "c358811672ecd881"),
        ({"variant": "temporal"}, 277, "92f82794172de4a6"),
    ],
)
def test_weights_keep_the_names_that_checkpoints_have(options, count, digest):
    """The digest of all names, in order: a checkpoint of an earlier revision must still load."""
    names = list(network(**options).state_dict())
    assert len(names) == count
    assert hashlib.sha256("\n".join(names).encode()).hexdigest()[:16] == digest


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ("paper", {"spds", "pool", "q", "k", "v", "attn", "proj", "mlp1", "mlp2"}),
        ("loihi", {"spds", "pool", "q", "k", "v", "attn", "proj", "mlp1", "mlp2", "pair", "memory", "match"}),
    ],
)
def test_labels_of_self_attention(profile, expected):
    net = network(profile=profile, stage3="ssa")
    labels = net.labels().values()
    assert {label.role for label in labels if label.stage == 3} == expected
    assert not any(label.role in {"v", "proj"} for label in labels if label.stage < 3)


def test_every_neuron_has_the_constants_that_the_config_asks_for():
    net = network(tau=2.5, threshold=0.9, mask_threshold=0.7)
    neurons = {path: module for path, module in net.populations().items() if isinstance(module, LIF)}
    assert len(neurons) == len(net.populations()) - 8 - 18  # pools and gates
    for path, neuron in neurons.items():
        expected = 0.7 if net.labels()[path].role == "mask" else 0.9
        assert (neuron.tau, neuron.v_threshold, neuron.v_reset, neuron.decay_input) == (2.5, expected, 0.0, True), path


@pytest.mark.parametrize("options", WHOLE)
def test_a_sample_does_not_depend_on_its_batch_or_on_what_was_before(options):
    """In float64: batches of other sizes may add up in another order, whose last bits decide a spike in float32."""
    net = network(**options).double()
    video, audio = images(5, dtype=torch.float64)
    together, _ = record(net, video, audio)
    for b in (0, 3):
        record(net, *images(4, seed=9, dtype=torch.float64))
        alone, _ = record(net, video[:, b : b + 1], audio[:, b : b + 1])
        for path, spikes in alone.items():
            assert torch.equal(spikes[:, 0], together[path][:, b]), path


def test_two_calls_give_identical_logits():
    net, inputs = network(), images(2)
    assert torch.equal(record(net, *inputs)[1], record(net, *inputs)[1])


@pytest.mark.parametrize("options", [{}, HYBRID, {"temporal_kernel": 3}])
def test_a_later_frame_does_not_change_an_earlier_spike(options):
    net, (video, audio) = network(**options), images(2)
    before, _ = record(net, video, audio)
    video = video.clone()
    video[-1] = 0
    after, _logits = record(net, video, audio)
    assert any(not torch.equal(before[path][-1], after[path][-1]) for path in before)
    for path in before:
        assert torch.equal(before[path][:-1], after[path][:-1]), path


@pytest.mark.parametrize("blank", [0, 1])
def test_each_modality_matters(blank):
    net, inputs = network(), images(2)
    blanked = [x * 0 if i == blank else x for i, x in enumerate(inputs)]
    assert not torch.allclose(record(net, *inputs)[1], record(net, *blanked)[1])


def test_time_order_matters():
    net, (video, audio) = network(), images(2)
    assert not torch.allclose(record(net, video, audio)[1], record(net, video.flip(0), audio.flip(0))[1])


@pytest.mark.parametrize(
    "options",
    [{}, {"temporal_kernel": 2}, FIXED, FIXED | HYBRID, {"profile": "paper"}, {"profile": "paper"} | HYBRID],
)
def test_every_parameter_gets_a_gradient(options):
    net = network(base_dim=8, image_size=32, **options).train()
    net(*images(8, size=32)).square().sum().backward()
    silent = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


def test_logits_are_the_mean_of_a_readout_of_each_step():
    net, inputs = network(), images(2)
    streams = {}
    hook = net.head.register_forward_hook(lambda _, args, __: streams.update(video=args[0], audio=args[1]))
    _, logits = record(net, *inputs)
    hook.remove()
    with torch.no_grad():
        steps = [net.head(streams["video"][t : t + 1], streams["audio"][t : t + 1]) for t in range(TINY.time_steps)]
    torch.testing.assert_close(torch.stack(steps).mean(dim=0), logits, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("profile", "scale"), [("loihi", 1.1), ("paper", 0.125)])
def test_constants_of_the_attention_are_learned_unless_fixed(profile, scale):
    learned, fixed = (
        network(profile=profile, stage3="ssa", alpha_learnable=flag, ssa_scale_learnable=flag).state_dict(
            keep_vars=True
        )
        for flag in (True, False)
    )
    alphas = [name for name in learned if name.endswith("alpha")]
    scales = [name for name in learned if name.endswith("ssa.scale")]
    assert (len(alphas), len(scales)) == (6, 2)
    for name in alphas + scales:
        assert (learned[name].requires_grad, fixed[name].requires_grad) == (True, False)
        assert torch.equal(learned[name], torch.tensor(1.5 if name in alphas else scale))


def test_heads_reach_every_attention():
    net = network(base_dim=8, heads=4, profile="paper", stage3="ssa")
    assert {module.heads for module in net.modules() if hasattr(module, "heads")} == {4}
    seen, _ = record(network(base_dim=8, heads=4), *images(1))
    assert {spikes.shape[2] for path, spikes in seen.items() if path.endswith("mask")} == {4}


@pytest.mark.parametrize("positions", [1024, 256, 64, 144, 36, 16, 9, 4, 1])
def test_gain_of_the_spatial_mean_never_ties_at_threshold(positions):
    """A membrane is gain · n / (positions · 2^k) for whole n, k: a tie at 1 needs n = positions · 2^k / gain whole."""
    gain = Fraction(TINY.fixed_gains["gain_space"])
    assert all((positions * 2**k / gain).denominator > 1 for k in range(1, 17))


def test_gain_of_the_temporal_path_asks_for_two_spikes_and_never_ties():
    gain = Fraction(str(TINY.fixed_gains["gain_time"]))
    assert gain / 2 < 1
    for train in itertools.product((0, 1), repeat=10):
        v = Fraction(0)
        for spike in train:
            v += (gain * spike - v) / 2
            assert v != 1
            v = v if v < 1 else Fraction(0)
    waits = [gap for gap in range(1, 8) if gain / 2 / 2**gap + gain / 2 >= 1]
    assert waits == [1, 2, 3, 4]
