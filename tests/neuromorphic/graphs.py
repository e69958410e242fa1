"""Small NIR graphs and inputs that the tests of this folder share."""

from __future__ import annotations

import nir
import numpy as np

from snnergy.artefacts.samples import Samples

SHAPE = (2, 8, 8)
STEPS = 5


def full(shape: tuple[int, ...], value: float) -> np.ndarray:
    return np.full(shape, value, dtype=np.float32)


def lif(shape: tuple[int, ...], tau: float = 2.0, threshold: float = 1.0, **metadata: object) -> nir.LIF:
    zero = full(shape, 0)
    return nir.LIF(
        tau=full(shape, tau),
        r=full(shape, 1),
        v_leak=zero,
        v_reset=zero,
        v_threshold=full(shape, threshold),
        metadata=metadata,
    )


def gate(shape: tuple[int, ...], threshold: float) -> nir.LIF:
    """A memoryless neuron: tau = dt."""
    return lif(shape, tau=1.0, threshold=threshold)


def conv(
    rng: np.random.Generator, shape: tuple[int, int], out: int, inp: int, gain: float, **kwargs: object
) -> nir.Conv2d:
    options: dict = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1} | kwargs
    weight = rng.normal(0, gain, (out, inp // options["groups"], 3, 3)).astype(np.float32)
    return nir.Conv2d(input_shape=shape, weight=weight, bias=rng.normal(0, 0.1, out).astype(np.float32), **options)


def pool(kind: type, kernel: int, stride: int, padding: int = 0) -> nir.NIRNode:
    return kind(*(np.array([value, value]) for value in (kernel, stride, padding)))


def branched(seed: int = 0) -> nir.NIRGraph:
    """Stem with OR-pool and shortcut, mask and gate, mean over space and broadcast, residual, integrating head."""
    rng = np.random.default_rng(seed)
    nodes = {
        "image": nir.Input({"input": np.array(SHAPE)}, metadata={"value_class": "real", "scale": 1 / 255, "bits": 8}),
        "stem.conv": conv(rng, (8, 8), 4, 2, 0.9),
        "stem": lif((4, 8, 8), role="stem", stage=1),
        "or.sum": pool(nir.SumPool2d, 2, 2),
        "or": gate((4, 4, 4), 0.5),
        "deep.conv": conv(rng, (4, 4), 4, 4, 0.5),
        "shortcut.conv": conv(rng, (8, 8), 4, 2, 0.5, stride=(2, 2)),
        "deep": lif((4, 4, 4)),
        "mask.sum": nir.Conv2d(
            input_shape=(4, 4),
            weight=np.kron(np.eye(2), np.ones((1, 2)))[:, :, None, None].astype(np.float32),
            stride=(1, 1),
            padding=(0, 0),
            dilation=(1, 1),
            groups=1,
            bias=full((2,), 0),
            metadata={"learned": 0},
        ),
        "mask": lif((2, 4, 4), threshold=0.6),
        "spread": nir.Conv2d(
            input_shape=(4, 4),
            weight=np.kron(np.eye(2), np.ones((2, 1)))[:, :, None, None].astype(np.float32),
            stride=(1, 1),
            padding=(0, 0),
            dilation=(1, 1),
            groups=1,
            bias=full((4,), 0),
            metadata={"learned": 0},
        ),
        "and": gate((4, 4, 4), 1.5),
        "mean": pool(nir.AvgPool2d, 4, 4),
        "gain": nir.Scale(full((4, 1, 1), 3.7)),
        "space": lif((4, 1, 1)),
        "broadcast": pool(nir.SumPool2d, 4, 1, 3),
        "both": gate((4, 4, 4), 1.5),
        "alpha": nir.Scale(full((4, 4, 4), 1.5)),
        "out.conv": conv(rng, (4, 4), 6, 4, 0.5),
        "out": lif((6, 4, 4)),
        "head.mean": pool(nir.AvgPool2d, 4, 4),
        "head.flatten": nir.Flatten({"input": np.array((6, 1, 1))}, start_dim=0),
        "head.linear": nir.Affine(rng.normal(0, 1, (3, 6)).astype(np.float32), rng.normal(0, 1, 3).astype(np.float32)),
        "head": nir.I(r=full((3,), 1 / STEPS)),
        "logits": nir.Output({"output": np.array((3,))}),
    }
    edges = [
        ("image", "stem.conv"), ("stem.conv", "stem"), ("stem", "or.sum"), ("or.sum", "or"), ("or", "deep.conv"),
        ("deep.conv", "deep"), ("image", "shortcut.conv"), ("shortcut.conv", "deep"), ("deep", "mask.sum"),
        ("mask.sum", "mask"), ("mask", "spread"), ("spread", "and"), ("or", "and"), ("and", "mean"), ("mean", "gain"),
        ("gain", "space"), ("space", "broadcast"), ("broadcast", "both"), ("deep", "both"), ("both", "alpha"),
        ("alpha", "out.conv"), ("deep", "out.conv"), ("out.conv", "out"), ("out", "head.mean"),
        ("head.mean", "head.flatten"), ("head.flatten", "head.linear"), ("head.linear", "head"), ("head", "logits"),
    ]  # fmt: skip
    return nir.NIRGraph(nodes, edges, metadata={"dt": 1.0})


def samples(count: int, seed: int = 1) -> Samples:
    """Images in steps of 1/255 with random labels."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (count, STEPS, *SHAPE)).astype(np.float32) / 255
    return Samples({"image": image}, rng.integers(0, 3, count))
