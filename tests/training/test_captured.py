"""The captured training pass against the network itself; only a GPU can tell."""

from __future__ import annotations

import pytest
import torch

from snnergy.training.loop.captured import captured
from tests.training.small_systems import LABELS, SYSTEMS, network

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that CUDA knows")


@pytest.mark.parametrize("name", SYSTEMS)
def test_it_computes_what_the_network_does_and_changes_nothing(name):
    net = network(name).train().cuda()
    config, labels = net.config, LABELS.cuda()
    shape = (config.time_steps, len(labels)), (config.image_size, config.image_size)
    images = [torch.rand(*shape[0], channels, *shape[1]).cuda() for channels in (config.video_channels, 1)]
    before = {key: value.clone() for key, value in net.state_dict().items()}
    at_once = captured(net, *images)
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    found = []
    for compute in (at_once, net.outputs):
        net.load_state_dict(before)
        net.zero_grad()
        loss = net.loss(compute(*images), labels, 0.1, 0.0)
        loss.backward()
        found.append([loss.detach(), *(p.grad.clone() for p in net.parameters() if p.grad is not None)])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)
