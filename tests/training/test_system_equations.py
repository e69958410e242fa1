"""The equations of the comparison systems, each against loops over its indices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from snnergy.training.config import systems as configs
from snnergy.training.model import neurons
from snnergy.training.model.self_attention import scores_first, summary_first
from snnergy.training.systems import balance, misnet, pmr, qkformer, s_cmrl, sca, taaf
from snnergy.training.systems.attention import SSA
from snnergy.training.systems.weight_attention import Weight
from tests.training import reference
from tests.training.helpers import randomise
from tests.training.small_systems import LABELS, SHARED, alive, images, lively, network


@pytest.fixture(autouse=True)
def _same_weights_each_time():
    torch.manual_seed(0)


def spikes(*shape, seed=0, rate=0.4):
    return (torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) < rate).double()


def cbl(module, x):
    return reference.lif(reference.project(module.proj, x))


@pytest.fixture(autouse=True)
def _weights():
    torch.manual_seed(4)


def made(module):
    """A module in double precision whose neurons fire often."""
    return lively(randomise(module)).double()


TRANSFORMER = configs.QKFormerConfig(**SHARED, modality="video", heads=2)


@pytest.mark.parametrize("attention", ["token", "channel"])
def test_query_key_attention(attention):
    module = made(qkformer.QueryKeyAttention(replace(TRANSFORMER, attention=attention), 8))
    x = spikes(3, 2, 8, 2, 2)
    q, k = cbl(module.q, x.numpy()), cbl(module.k, x.numpy())
    kept = np.zeros_like(k)
    for b in range(2):
        for c in range(8):
            for i, j in np.ndindex(2, 2):
                head = slice(c // 4 * 4, c // 4 * 4 + 4)
                counts = q[:, b, head, i, j].sum(1) if attention == "token" else q[:, b, c].sum((1, 2))
                kept[:, b, c, i, j] = reference.lif(counts[:, None], threshold=0.5)[:, 0] * k[:, b, c, i, j]
    np.testing.assert_array_equal(module(x).detach().numpy(), cbl(module.out, kept))
    assert 0 < kept.sum() < k.sum()


@pytest.mark.parametrize("product", [scores_first, summary_first])
@pytest.mark.parametrize("over", ["space", "time"])
def test_self_attention_over_space_and_over_time_in_both_orders(product, over):
    """Of a head and position or step: out[n, j] = sum over m and c of q[n, c] k[m, c] v[m, j]."""
    module = lively(made(SSA(TRANSFORMER, 4, 2, 0.25, 0.5, product, over)))
    asking, asked = spikes(3, 2, 4, 2, 2), spikes(3, 2, 4, 2, 2, seed=1)
    q, k, v = cbl(module.q, asking.numpy()), cbl(module.k, asked.numpy()), cbl(module.v, asked.numpy())
    counts = np.zeros_like(q)
    places = list(np.ndindex(2, 2))
    for t, b, j in np.ndindex(3, 2, 4):
        for n in places:
            looked_at = [(t, *m) for m in places] if over == "space" else [(s, *n) for s in range(3)]
            for s, *m in looked_at:
                for c in range(j // 2 * 2, j // 2 * 2 + 2):
                    counts[(t, b, j, *n)] += q[(t, b, c, *n)] * k[(s, b, c, *m)] * v[(s, b, j, *m)]
    expected = cbl(module.out, reference.lif(0.25 * counts, threshold=0.5))
    np.testing.assert_array_equal(module(asking, asked).detach().numpy(), expected)
    assert counts.sum() > 0


def test_complementary_attention_of_s_cmrl():
    module = made(s_cmrl.CCSSA(configs.SCmrlConfig(**SHARED, heads=2)))
    torch.nn.init.constant_(module.linear.conv.bias, 1.1)
    torch.nn.init.uniform_(module.linear.conv.weight, 0, 1)
    asking, asked = spikes(3, 2, 8, 2, 2), spikes(3, 2, 8, 2, 2, seed=1)
    space, time = (part(asking, asked).detach().numpy() for part in (module.spatial, module.temporal))
    neurons.reset(module)
    weight = module.linear.conv.weight.detach().numpy()[:, :, 0, 0]
    current = np.zeros_like(space)
    for t, b, o, i, j in np.ndindex(space.shape):
        for c in range(8):
            current[t, b, o, i, j] += weight[o, c] * space[t, b, c].mean() * time[:, b, c, i, j].mean()
    expected = reference.lif(current + 1.1)
    np.testing.assert_array_equal(module(asking, asked).detach().numpy(), expected)
    assert 0 < expected.mean() < 1
    assert all(lif.v_threshold == 1.0 for lif in module.modules() if isinstance(lif, neurons.LIF))


def test_alignment_loss():
    rng = np.random.default_rng(0)
    a, v, labels = rng.random((5, 3)), rng.random((5, 3)), np.array([0, 1, 0, 2, 1])
    total = 0.0
    for i in range(5):
        row = [a[i] @ v[j] / 0.07 for j in range(5)]
        total -= sum(row[j] - np.log(np.exp(row).sum()) for j in range(5) if labels[i] == labels[j])
    found = s_cmrl.alignment_loss(*(torch.from_numpy(x) for x in (a, v, labels)), 0.07)
    assert found.item() == pytest.approx(total / 25)


def test_weight_attention():
    module = made(Weight(4))
    own, other = spikes(3, 2, 4, 2, 2), spikes(3, 2, 4, 2, 2, seed=1)
    w1, b1, w2, b2 = (p.detach().numpy() for p in module.parameters())
    found = module(own, other).detach().numpy()
    for t, b in np.ndindex(3, 2):
        f = np.array([x[t, b, c].mean().item() for x in (own, other) for c in range(4)])
        assert found[t, b].item() == pytest.approx((w2 @ (w1 @ f + b1) + b2).item())


def test_map_of_sca_and_its_relative_position():
    module = lively(made(sca.BinaryMapAttention(configs.ScaConfig(**SHARED, heads=2))))
    torch.nn.init.uniform_(module.position.table, -3, 3)
    asking, asked = spikes(3, 2, 8, 2, 2), spikes(3, 2, 8, 2, 2, seed=1)
    q, k, v = cbl(module.q, asking.numpy()), cbl(module.k, asked.numpy()), cbl(module.v, asked.numpy())
    table, places = module.position.table.detach().numpy(), list(np.ndindex(2, 2))
    counts = np.zeros_like(q)
    for b, head, n in np.ndindex(2, 2, 4):
        (y, x), channels = places[n], range(4 * head, 4 * head + 4)
        for m in places:
            bias = table[y - m[0] + 1, x - m[1] + 1]
            scores = [sum(q[(t, b, c, y, x)] * k[(t, b, c, *m)] for c in channels) + bias for t in range(3)]
            seen = reference.lif(np.array(scores)[:, None])[:, 0]
            for t, c in np.ndindex(3, 4):
                counts[t, b, channels[c], y, x] += seen[t] * v[(t, b, channels[c], *m)]
    expected = cbl(module.out, reference.lif(0.25 * counts))
    np.testing.assert_array_equal(module(asking, asked).detach().numpy(), expected)
    assert counts.sum() > 0


def test_cmci_joins_currents_and_keeps_the_streams():
    net = alive("cmci").double()
    streams = {}
    parts = {"video": net.video, "audio": net.audio, "fused": net.fused, "mlp": net.mlp}
    for name, part in parts.items():
        part.register_forward_hook(lambda _, __, out, name=name: streams.__setitem__(name, out.numpy()))
    with torch.no_grad():
        outputs = net.outputs(*images(2, dtype=torch.float64))
    current = np.zeros_like(streams["fused"])
    for modality, linear in (("video", net.video_current), ("audio", net.audio_current)):
        weight, bias = linear.conv.weight.detach().numpy()[:, :, 0, 0], linear.conv.bias.detach().numpy()
        for t, b, i, j in np.ndindex(3, 2, 4, 4):
            current[t, b, :, i, j] += weight @ streams[modality][t, b, :, i, j] + bias
    np.testing.assert_array_equal(streams["fused"], reference.lif(current))
    z = (streams["fused"] + streams["mlp"]).mean((0, 3, 4))
    weight, bias = (p.detach().numpy() for p in net.head.linear.parameters())
    np.testing.assert_allclose(outputs["logits"].numpy(), z @ weight.T + bias)
    losses = [functional.cross_entropy(outputs[n], LABELS[:2], label_smoothing=0.1) for n in
              ("logits", "logits_video", "logits_audio")]  # fmt: skip
    assert net.loss(outputs, LABELS[:2], 0.1, 0.0).item() == pytest.approx(sum(losses).item())


def test_complementary_neurons():
    current = 3 * torch.rand(6, 5, generator=torch.Generator().manual_seed(0)).double() - 0.5
    found = misnet.CLIF()(current).numpy()
    for n in range(5):
        v = m = 0.0
        for t in range(6):
            u = v * 0.5 + current[t, n].item()
            s = float(u >= 1)
            m = m / (1 + np.exp(-u / 2)) + s
            v = u - s - s / (1 + np.exp(-m))
            assert found[t, n] == s
    assert 0 < found.mean() < 1


@pytest.mark.parametrize("joint", [True, False])
def test_neurons_of_two_membranes(joint):
    video, audio = spikes(8, 6, rate=0.7), spikes(8, 6, seed=1, rate=0.5)
    if not joint:  # sums of spikes
        video, audio = video + spikes(8, 6, seed=2), audio + spikes(8, 6, seed=3)
    found = [x.numpy() for x in misnet.MLIF(joint)(video, audio)]
    for n in range(6):
        membrane = [0.0, 0.0]
        for t in range(8):
            h = [0.5 * membrane[m] + x[t, n].item() for m, x in enumerate((video, audio))]
            fires = [0.5 * sum(h) >= 1] * 2 if joint else [0.5 * h[m] >= 1 for m in range(2)]
            membrane = [h[m] - fires[m] for m in range(2)]
            assert [bool(x[t, n]) for x in found] == fires
    assert found[0].any()
    assert np.array_equal(*found) == joint or not joint


def test_the_gradient_of_a_spike_is_one_near_the_threshold():
    potential = torch.tensor([0.4, 0.6, 1.0, 1.4, 1.6], requires_grad=True)
    misnet.fired(potential).sum().backward()
    assert potential.grad.tolist() == [0, 1, 1, 1, 0]


def test_shares_and_loss_of_taaf():
    net = network("taaf-concat").double().eval()
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2, 3, 32))
    scores = net.audio_scores
    q, k, w, b = (p.detach().numpy() for p in (scores.query.weight, scores.key.weight, *scores.linear.parameters()))
    steps, shares = (x.detach().numpy() for x in scores(torch.from_numpy(features)))
    for i in range(2):
        looks = (features[i] @ q.T) @ (features[i] @ k.T).T / np.sqrt(4)
        rows = [np.exp(row) / np.exp(row).sum() for row in looks]
        np.testing.assert_allclose(shares[i], np.mean(rows, axis=0))
        np.testing.assert_allclose(steps[i], features[i] @ w.T + b)
    with torch.no_grad():
        outputs = {name: x.detach() for name, x in net.outputs(*images(2, dtype=torch.float64)).items()}
    expected = 0.0
    for name, weight in (("fused", 1.0), ("video", 0.5), ("audio", 0.5)):
        z, s = outputs[f"steps_{name}"].numpy(), outputs[f"shares_{name}"].numpy()
        log = z - np.log(np.exp(z).sum(-1, keepdims=True))
        for i, label in enumerate((0, 1)):
            p = (s[i][:, None] * z[i]).sum(0)
            own = -(p[label] - np.log(np.exp(p).sum())) - sum(s[i, t] * log[i, t, label] for t in range(3))
            expected += weight * own / 2
    assert net.loss(outputs, LABELS[:2], 0.0, 0.0).item() == pytest.approx(expected)


def test_alignment_of_taaf_starts_with_each_step_alone():
    module = taaf.Aligned(1, 2)
    module.encoder = torch.nn.Flatten(2)
    images = torch.rand(3, 2, 16, 1, 1)
    assert torch.equal(module(images), images[..., 0, 0].transpose(0, 1))


def test_taaf_and_ogm_ge_slow_down_who_is_ahead():
    """g of the labels, by hand; the share that a modality's gradient keeps."""
    logits = {"audio": torch.tensor([[2.0, 0.0], [0.0, 1.0]]), "video": torch.tensor([[0.5, 0.0], [0.0, 0.5]])}
    labels = torch.tensor([0, 1])
    g = {}
    for name, x in logits.items():
        g[name] = sum(np.exp(row[y]) / np.exp(row).sum() for row, y in zip(x.numpy(), (0, 1), strict=True))
        assert balance.true_class(x, labels).sum().item() == pytest.approx(g[name])
    ahead = balance.lead(*(balance.true_class(logits[name], labels).sum() for name in ("audio", "video")))
    assert ahead == pytest.approx(g["video"] / g["audio"])
    factors = balance.slowed(ahead, 0.3)
    assert factors["video"] == 1
    assert factors["audio"] == pytest.approx(1 - np.tanh(0.3 * g["audio"] / g["video"]))
    assert balance.slowed(1.0, 0.3) == {"video": 1, "audio": 1}


@pytest.mark.parametrize("name", ["ogm_ge-sum", "ogm_ge-film", "taaf-concat"])
def test_only_the_encoders_are_slowed_and_only_in_the_first_half(name):
    net = network(name, alpha=0.5).train()
    outputs = net.outputs(*images(8))
    net.loss(outputs, LABELS, 0.1, 0.0).backward()
    before = {path: p.grad.clone() for path, p in net.named_parameters()}
    net.modulate(outputs, LABELS, progress=0.5)
    assert all(torch.equal(p.grad, before[path]) for path, p in net.named_parameters())
    net.modulate(outputs, LABELS, progress=0.49)
    changed = {path.partition(".")[0] for path, p in net.named_parameters() if not torch.equal(p.grad, before[path])}
    assert changed <= {"audio", "video"}
    assert changed == {"audio", "video"} if name.startswith("ogm_ge") else len(changed) == 1
    if name.startswith("ogm_ge"):
        assert all(torch.equal(p.grad, before[path]) for path, p in net.named_parameters() if p.ndim != 4)


def test_noise_of_ogm_ge_is_as_large_as_the_gradient():
    net = network("ogm_ge-sum").train()
    outputs = net.outputs(*images(8))
    net.loss(outputs, LABELS, 0.1, 0.0).backward()
    before = {path: p.grad.clone() for path, p in net.named_parameters()}
    factors = balance.slowed(
        balance.lead(*(balance.true_class(outputs[f"logits_{m}"], LABELS).sum() for m in ("audio", "video"))), 0.1
    )
    net.modulate(outputs, LABELS, progress=0.0)
    for modality in ("audio", "video"):
        path = f"{modality}.layers.7.conv1.conv.weight"  # 32 × 32 × 9 values
        noise = net.get_parameter(path).grad - factors[modality] * before[path]
        assert noise.std().item() == pytest.approx(before[path].std().item(), rel=0.05)


def test_prototypes_of_pmr():
    net = network("pmr-concat").train()
    batches = [(*images(4, seed=seed), torch.tensor(labels)) for seed, labels in ((0, [0, 1, 0, 1]), (1, [1, 2, 2, 1]))]
    net.start_epoch(batches, 0.0)
    assert net.training
    assert net.known.tolist() == [1, 1, 1, 0]
    net.eval()
    with torch.no_grad():
        features = torch.cat([net.outputs(video, audio)["feat_audio"] for video, audio, _ in batches])
    labels = torch.cat([batch[2] for batch in batches])
    first = net.prototypes_audio.clone()
    for k in range(3):
        torch.testing.assert_close(first[k], features[labels == k].mean(dim=0))
    assert not first[3].any()
    torch.nn.init.constant_(net.prototypes_audio, 1.0)
    net.start_epoch(batches, 0.5)
    torch.testing.assert_close(net.prototypes_audio[:3], 0.8 * first[:3] + 0.2)
    assert (net.prototypes_audio[3] == 1).all()  # of a class that was not there, the earlier one stays
    net.start_epoch(batches, 0.7)
    assert (net.prototypes_audio[3] == 1).all()


def test_pmr_pulls_the_slower_modality():
    net = network("pmr-concat", alpha=2.0)
    rng = np.random.default_rng(0)
    for name in ("audio", "video"):
        net.get_buffer(f"prototypes_{name}").copy_(torch.from_numpy(rng.normal(size=(4, 32))))
    near = net.prototypes_audio[LABELS] + 0.1
    outputs = {"logits": torch.zeros(8, 4), "feat_audio": near, "feat_video": torch.zeros(8, 32)}
    plain = functional.cross_entropy(outputs["logits"], LABELS)
    distances = np.array([[np.linalg.norm(c) for c in net.prototypes_video.numpy()]] * 8)
    log = -distances - np.log(np.exp(-distances).sum(1, keepdims=True))
    expected = plain.item() - 2 * log[np.arange(8), LABELS.numpy()].mean()
    assert net.loss(outputs, LABELS, 0.0, 0.0).item() == pytest.approx(expected, rel=1e-5)
    assert net.loss(outputs, LABELS, 0.0, 0.7).item() == pytest.approx(plain.item())
    assert pmr.similarity(torch.zeros(1, 3), torch.zeros(2, 3)).tolist() == [[pytest.approx(-1e-6)] * 2]
