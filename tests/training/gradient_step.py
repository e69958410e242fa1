"""One step of training in one of several processes; a module of its own, because each process imports it anew."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import distributed
from torch.nn import functional

from snnergy.training.config.experiment import ModelConfig
from snnergy.training.model.network import SNNergy

MODEL = ModelConfig(time_steps=3, image_size=16, classes=10, base_dim=8, heads=2, mlp_ratio=2)


def gradients(rank: int, processes: int, folder: Path) -> None:
    """One step of one process: average the gradients, and write them with the statistics of BatchNorm."""
    if processes > 1:
        distributed.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=processes)
    torch.manual_seed(0)
    network = SNNergy(MODEL).double()
    generator = torch.Generator().manual_seed(1)
    video, audio = (torch.rand(3, 8, 1, 16, 16, generator=generator, dtype=torch.float64) for _ in range(2))
    labels = torch.arange(8)
    mine = slice(rank, None, processes)
    functional.cross_entropy(network(video[:, mine], audio[:, mine]), labels[mine]).backward()
    found = {name: p.grad for name, p in network.named_parameters()} | dict(network.named_buffers())
    for name, p in network.named_parameters():
        if processes > 1:
            distributed.all_reduce(p.grad)
        found[name] = p.grad / processes
    if rank == 0:
        torch.save(found, folder / f"{processes}.pt")
    if processes > 1:
        distributed.destroy_process_group()
