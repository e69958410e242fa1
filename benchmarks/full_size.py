"""Forward and backward pass of the publication's sizes: seconds, memory, and the count of fusion operations.

    python -m benchmarks.full_size -o benchmarks/results/full_size.json

D = 96 and D = 192 at 128 × 128 pixels, T = 6, hybrid network, in both profiles; every size in a process of its own, so
that its peak of memory is its own.
"""

from __future__ import annotations

import argparse
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import get_args

import torch
from torch.nn import functional

from benchmarks.results_file import write_rows
from snnergy.training.config.experiment import ModelConfig, Profile
from snnergy.training.model.complexity import Attention, fusion_operations, stage_operations
from snnergy.training.model.network import SNNergy

HYBRID: tuple[Attention, Attention, Attention] = ("cmqka", "cmqka", "ssa")


@dataclass(frozen=True)
class Row:
    """One network. Operations are the publication's N·C² and N²·C of one direction, in the order of the stages."""

    base_dim: int
    profile: str
    batch_size: int
    parameters: int
    forward_s: float
    backward_s: float
    peak_memory_gib: float
    gradients_not_finite: int
    parameters_without_gradient: int
    cmqka_operations: tuple[int, ...]
    ssa_operations: tuple[int, ...]
    hybrid_operations: int


def measure(base_dim: int, profile: Profile, batch_size: int) -> Row:
    """One pass of a new network over random pixels."""
    model = ModelConfig(
        time_steps=6, image_size=128, classes=6, base_dim=base_dim, profile=profile, stage3="ssa", depths=(1, 1, 2),
        video_channels=3,
    )  # fmt: skip
    torch.manual_seed(0)
    network = SNNergy(model).train()
    video, audio = (torch.rand(6, batch_size, channels, 128, 128) for channels in (3, 1))
    begun = time.perf_counter()
    loss = functional.cross_entropy(network(video, audio), torch.arange(batch_size) % 6)
    between = time.perf_counter()
    loss.backward()
    ended = time.perf_counter()
    gradients = [p.grad for p in network.parameters()]
    stages = stage_operations(model)
    return Row(
        base_dim,
        profile,
        batch_size,
        sum(p.numel() for p in network.parameters()),
        round(between - begun, 2),
        round(ended - between, 2),
        round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),  # Linux counts in KiB
        sum(int((~torch.isfinite(g)).sum()) for g in gradients if g is not None),
        sum(g is None or not bool(g.any()) for g in gradients),
        tuple(stage.cmqka for stage in stages),
        tuple(stage.ssa for stage in stages),
        fusion_operations(model, HYBRID),
    )


def main() -> None:
    """Measure every size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    rows = []
    for base_dim in (96, 192):
        for profile in get_args(Profile):
            # A process for each size, ended after it: memory that one has held stays in its peak.
            with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                row = pool.submit(measure, base_dim, profile, arguments.batch_size).result()
            rows.append(asdict(row))
            write_rows(arguments.output, "benchmarks.full_size", rows)
            print(row, flush=True)


if __name__ == "__main__":
    main()
