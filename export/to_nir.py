"""Writes the network as a graph of standard NIR nodes: a walk over its blocks, one function a block.

Nothing is traced: what a block computes is written here once more in NIR's terms, and `parity` proves both equal.

    projection        Conv2d with the BatchNorm folded in
    LIF               LIF, dt = 1, r = 1, threshold one float below (NIR fires on >, the network on >=)
    AND               both edges into a memoryless LIF, threshold 1.5
    OR over a window  SumPool2d into a memoryless LIF, threshold 0.5
    earlier steps     Delay before the Conv2d that holds the weights of that step
    sum over a head   Conv2d of ones, C → heads; spread back by one of ones, heads → C. Zeros stand off the blocks
                      because the type check of nir 1.0.8 rejects grouped convolutions
    over space        mean: AvgPool2d of the whole map; sum: SumPool2d of it; spread back by SumPool2d of the whole map
                      padded by its side − 1, under which each position sees the single value once
    BatchNorm alone   of a mean: Conv2d of one position, with zeros off its diagonal for the same reason as above
    alpha, gains      Scale
    residual stream   several edges into one consumer, which NIR sums
    head              AvgPool2d → Flatten → Affine of each modality, both into an I node with r = 1 / T: after T steps
                      its membrane is the mean over time
"""

from __future__ import annotations

import nir
import numpy as np

from snnergy.artefacts.samples import MODALITIES
from snnergy.artefacts.types import Labels, Shape
from snnergy.export import fold
from snnergy.export.graph import DT, Floats, GraphBuilder, Metadata, Stream, lif, memoryless
from snnergy.export.refusals import refuse_inexpressible
from snnergy.training.model.attention import CMQKA, MLP, Direction, FixedGate, OpenGate, QueryKeyPath
from snnergy.training.model.layers import CausalProjection, OrPool, Projection
from snnergy.training.model.network import Encoder, Head, SNNergy, Stage
from snnergy.training.model.neurons import LIF
from snnergy.training.model.self_attention import BinarySSA
from snnergy.training.model.spds import SPDS, StemSPDS

OUTPUT = "logits"


def to_nir(network: SNNergy, metadata: Metadata) -> nir.NIRGraph:
    """The graph of `network` in evaluation mode: inputs `video` and `audio`, output `logits`.

    Args:
        network: trained; it is read, not changed. A blank modality is a matter of the data, so nothing here shows it.
        metadata: added to the graph's, which gives dt, time_steps, classes and profile.

    Raises:
        UserError: with everything in the network that NIR cannot express.
    """
    refuse_inexpressible(network)
    config = network.config
    of_head = {f"head.{modality}": Labels("head", modality=modality) for modality in MODALITIES}
    labels = {**network.labels(), **of_head, "head": Labels("head")}
    graph = GraphBuilder(labels.__getitem__)
    side = config.image_size
    video = graph.input("video", (config.video_channels, side, side))
    audio = graph.input("audio", (1, side, side))
    for name, module in (("stage1", network.stage1), ("stage2", network.stage2), ("stage3", network.stage3)):
        video, audio = stage(graph, name, module, video, audio)
    logits = head(graph, "head", network.head, video, audio, config.time_steps)
    graph.output(OUTPUT, logits)
    about = {"time_steps": config.time_steps, "classes": config.classes, "profile": config.profile}
    return graph.build({**metadata, **about})


def stage(graph: GraphBuilder, path: str, module: Stage, video: Stream, audio: Stream) -> tuple[Stream, Stream]:
    """Downsampling, then the blocks; both directions of a block see the same inputs."""
    video = encoder(graph, f"{path}.video", module.video, video)
    audio = encoder(graph, f"{path}.audio", module.audio, audio)
    for index, block in enumerate(module.blocks):
        at = f"{path}.block{index}"
        video, audio = (
            direction(graph, f"{at}.video", block.video, video, audio),
            direction(graph, f"{at}.audio", block.audio, audio, video),
        )
    return video, audio


def encoder(graph: GraphBuilder, path: str, module: Encoder, stream: Stream) -> Stream:
    """Downsampling of one modality, of an image in the first stage and of a stream `(C, H, W)` in the others."""
    if isinstance(module.spds, StemSPDS):
        return stem_spds(graph, f"{path}.spds", module.spds, stream)
    return spds(graph, f"{path}.spds", module.spds, stream)


def stem_spds(graph: GraphBuilder, path: str, module: StemSPDS, image: Stream) -> Stream:
    """`(inputs, H, W)` to spikes `(C, H / 4, W / 4)`."""
    spikes = _lif(graph, f"{path}.lif0", module.lif0, _conv(graph, f"{path}.lif0.conv", module.conv0, image))
    spikes = or_pool(graph, f"{path}.pool0", module.pool0, spikes)
    spikes = _lif(graph, f"{path}.lif1", module.lif1, _conv(graph, f"{path}.lif1.conv", module.conv1, spikes))
    spikes = or_pool(graph, f"{path}.pool1", module.pool1, spikes)
    deep = _conv(graph, f"{path}.out.conv", module.conv2, spikes)
    return _lif(graph, f"{path}.out", module.out, deep + _conv(graph, f"{path}.out.shortcut", module.shortcut, image))


def spds(graph: GraphBuilder, path: str, module: SPDS, stream: Stream) -> Stream:
    """A stream `(inputs, H, W)` to spikes `(C, H / 2, W / 2)`."""
    spikes = _lif(graph, f"{path}.lif0", module.lif0, _conv(graph, f"{path}.lif0.conv", module.conv0, stream))
    spikes = or_pool(graph, f"{path}.pool0", module.pool0, spikes)
    deep = _conv(graph, f"{path}.out.conv", module.conv1, spikes)
    return _lif(graph, f"{path}.out", module.out, deep + _conv(graph, f"{path}.out.shortcut", module.shortcut, stream))


def or_pool(graph: GraphBuilder, path: str, module: OrPool, spikes: Stream) -> Stream:
    """Spikes `(C, H, W)` to spikes `(C, H / size, W / size)`."""
    window = np.array([module.size, module.size])
    channels, height, width = spikes.shape
    shape = (channels, height // module.size, width // module.size)
    count = graph.linear(f"{path}.sum", nir.SumPool2d(window, window, np.zeros_like(window)), spikes, shape)
    return graph.neurons(path, memoryless(0.5, shape), count)


def direction(graph: GraphBuilder, path: str, module: Direction, asking: Stream, asked: Stream) -> Stream:
    """One direction of a block: two streams `(C, H, W)` to the asking stream plus alpha · F plus its MLP."""
    if isinstance(module, CMQKA):
        attended = cmqka(graph, path, module, asking, asked)
    else:
        attended = binary_ssa(graph, f"{path}.ssa", module.ssa, asking, asked)
    (source,) = attended.sources
    stream = asking + _scale(graph, f"{source}.alpha", module.alpha.item(), attended)
    return stream + mlp(graph, f"{path}.mlp", module.mlp, stream)


def cmqka(graph: GraphBuilder, path: str, module: CMQKA, asking: Stream, asked: Stream) -> Stream:
    """Two streams `(C, H, W)` to the spikes of F `(C, H, W)`."""
    if module.variant == "spatial":
        return query_key_path(graph, f"{path}.spatial", module.spatial, asking, asked)
    if module.variant == "temporal":
        return query_key_path(graph, f"{path}.temporal", module.temporal, asking, asked)
    spatial = query_key_path(graph, f"{path}.spatial", module.spatial, asking, asked)
    temporal = query_key_path(graph, f"{path}.temporal", module.temporal, asking, asked)
    if isinstance(module.fusion, OpenGate):
        return open_gate(graph, f"{path}.fusion", module.fusion, spatial, temporal)
    assert isinstance(module.fusion, FixedGate), "products of means are refused beforehand"
    return fixed_gate(graph, f"{path}.fusion", module.fusion, spatial, temporal)


def query_key_path(graph: GraphBuilder, path: str, module: QueryKeyPath, asking: Stream, asked: Stream) -> Stream:
    """Two streams `(C, H, W)` to the spikes of `attn` `(C, H, W)`."""
    q = _lif(graph, f"{path}.q", module.q, _conv(graph, f"{path}.q.conv", module.q_proj, asking))
    k = _lif(graph, f"{path}.k", module.k, _conv(graph, f"{path}.k.conv", module.k_proj, asked))
    mask = _lif(graph, f"{path}.mask", module.mask, _head_sum(graph, f"{path}.mask.sum", module.heads, q))
    members = _members(module.heads, k.shape[0])
    return _and(graph, f"{path}.attn", _wiring(graph, f"{path}.attn.spread", members.T, mask), k)


def open_gate(graph: GraphBuilder, path: str, module: OpenGate, spatial: Stream, temporal: Stream) -> Stream:
    """The `attn` spikes `(C, H, W)` of both paths to the spikes of `gate` `(C, H, W)`."""
    weight, bias = fold.norm_alone(module.mean.norm)
    mean = _mean_over_space(graph, f"{path}.space.mean", spatial)
    current = _one_by_one(graph, f"{path}.space.norm", weight, bias, mean, learned=True)
    space = _lif(graph, f"{path}.space", module.space, current)
    return _and(graph, f"{path}.gate", _over_space(graph, f"{path}.gate.spread", space, temporal.shape), temporal)


def fixed_gate(graph: GraphBuilder, path: str, module: FixedGate, spatial: Stream, temporal: Stream) -> Stream:
    """The `attn` spikes `(C, H, W)` of both paths to the spikes of `gate` `(C, H, W)`."""
    mean = _mean_over_space(graph, f"{path}.space.mean", spatial)
    space = _lif(graph, f"{path}.space", module.space, _scale(graph, f"{path}.space.gain", module.gain_space, mean))
    time = _lif(graph, f"{path}.time", module.time, _scale(graph, f"{path}.time.gain", module.gain_time, temporal))
    return _and(graph, f"{path}.gate", _over_space(graph, f"{path}.gate.spread", space, time.shape), time)


def binary_ssa(graph: GraphBuilder, path: str, module: BinarySSA, asking: Stream, asked: Stream) -> Stream:
    """Two streams `(C, H, W)` to the spikes of `out` `(C, H, W)`."""
    q = _lif(graph, f"{path}.q", module.q, _conv(graph, f"{path}.q.conv", module.q_proj, asking))
    k = _lif(graph, f"{path}.k", module.k, _conv(graph, f"{path}.k.conv", module.k_proj, asked))
    v = _lif(graph, f"{path}.v", module.v, _conv(graph, f"{path}.v.conv", module.v_proj, asked))
    pair = _and(graph, f"{path}.pair", k, v)
    side = np.array(pair.shape[1:])
    total = nir.SumPool2d(side, side, np.zeros_like(side))
    tokens = graph.linear(f"{path}.memory.sum", total, pair, (pair.shape[0], 1, 1))
    memory = _lif(graph, f"{path}.memory", module.memory, tokens)
    match = _and(graph, f"{path}.match", _over_space(graph, f"{path}.match.spread", memory, q.shape), q)
    count = _head_sum(graph, f"{path}.attn.sum", module.heads, match)
    attn = _lif(graph, f"{path}.attn", module.attn, _scale(graph, f"{path}.attn.scale", module.scale.item(), count))
    return _lif(graph, f"{path}.out", module.out, _conv(graph, f"{path}.out.conv", module.out_proj, attn))


def mlp(graph: GraphBuilder, path: str, module: MLP, stream: Stream) -> Stream:
    """A stream `(C, H, W)` to spikes `(C, H, W)`."""
    hidden = _conv(graph, f"{path}.hidden.conv", module.hidden_proj, stream)
    spikes = _lif(graph, f"{path}.hidden", module.hidden, hidden)
    return _lif(graph, f"{path}.out", module.out, _conv(graph, f"{path}.out.conv", module.out_proj, spikes))


def head(graph: GraphBuilder, path: str, module: Head, video: Stream, audio: Stream, time_steps: int) -> Stream:
    """Two streams `(C, H, W)` to a readout `(classes,)` that holds the logits after `time_steps` steps.

    NIR cannot concatenate: each modality has the columns of the linear layer that read it, the video side the bias.
    """
    weight, bias = fold.norm_linear(module.norm, module.linear)
    columns = np.split(weight, [video.shape[0]], axis=1)
    logits = [
        _readout(graph, f"{path}.{name}", part, offset, stream)
        for name, stream, part, offset in zip(
            MODALITIES, (video, audio), columns, (bias, np.zeros_like(bias)), strict=True
        )
    ]
    return graph.neurons(path, nir.I(r=np.full(bias.shape, 1 / time_steps, dtype=np.float32)), logits[0] + logits[1])


def _readout(graph: GraphBuilder, path: str, weight: Floats, bias: Floats, stream: Stream) -> Stream:
    mean = _mean_over_space(graph, f"{path}.mean", stream)
    # NIR's shapes have no batch dimension: the channels are dimension 0.
    flatten = nir.Flatten({"input": np.array(mean.shape)}, start_dim=0)
    flat = graph.linear(f"{path}.flatten", flatten, mean, mean.shape[:1])
    return graph.linear(f"{path}.linear", nir.Affine(weight, bias), flat, bias.shape, learned=True)


def _lif(graph: GraphBuilder, path: str, module: LIF, current: Stream) -> Stream:
    return graph.neurons(path, lif(module, current.shape), current)


def _and(graph: GraphBuilder, path: str, a: Stream, b: Stream) -> Stream:
    return graph.neurons(path, memoryless(1.5, b.shape), a + b)


def _conv(graph: GraphBuilder, name: str, module: Projection, source: Stream) -> Stream:
    weight, bias = fold.conv_norm(module.conv, module.norm)
    if not isinstance(module, CausalProjection):
        return _conv2d(graph, name, module, weight, bias, source)
    now, *past = np.split(weight, module.steps, axis=1)
    current = _conv2d(graph, name, module, now, bias, source)
    for lag, earlier in enumerate(past, start=1):
        delay = nir.Delay(np.full(source.shape, lag * DT, dtype=np.float32))
        delayed = graph.linear(f"{name}{lag}_delay", delay, source, source.shape)
        current += _conv2d(graph, f"{name}{lag}", module, earlier, np.zeros_like(bias), delayed)
    return current


def _conv2d(graph: GraphBuilder, name: str, module: Projection, weight: Floats, bias: Floats, source: Stream) -> Stream:
    node = nir.Conv2d(
        input_shape=source.shape[1:],
        weight=weight,
        stride=module.conv.stride,
        padding=module.conv.padding,
        dilation=module.conv.dilation,
        groups=module.conv.groups,
        bias=bias,
    )
    shape = tuple(int(size) for size in node.output_type["output"])
    return graph.linear(name, node, source, shape, learned=True)


def _one_by_one(
    graph: GraphBuilder, name: str, weight: Floats, bias: Floats, source: Stream, *, learned: bool
) -> Stream:
    """The same `weight` `(channels out, channels in, 1, 1)` and `bias` at every position."""
    node = nir.Conv2d(source.shape[1:], weight, stride=1, padding=0, dilation=1, groups=1, bias=bias)
    return graph.linear(name, node, source, (len(bias), *source.shape[1:]), learned=learned)


def _wiring(graph: GraphBuilder, name: str, matrix: Floats, source: Stream) -> Stream:
    """The same constant `matrix` `(channels out, channels in)` at every position."""
    weight = matrix.astype(np.float32)[:, :, None, None]
    return _one_by_one(graph, name, weight, np.zeros(len(matrix), dtype=np.float32), source, learned=False)


def _members(heads: int, channels: int) -> Floats:
    """Which channels each head has, 0 or 1 `(heads, channels)`."""
    return np.kron(np.eye(heads), np.ones((1, channels // heads)))


def _head_sum(graph: GraphBuilder, name: str, heads: int, source: Stream) -> Stream:
    return _wiring(graph, name, _members(heads, source.shape[0]), source)


def _over_space(graph: GraphBuilder, name: str, source: Stream, shape: Shape) -> Stream:
    """`(C, 1, 1)` at every position of `shape` `(C, H, W)`."""
    side = np.array(shape[1:])
    return graph.linear(name, nir.SumPool2d(side, np.array([1, 1]), side - 1), source, shape)


def _mean_over_space(graph: GraphBuilder, name: str, source: Stream) -> Stream:
    side = np.array(source.shape[1:])
    return graph.linear(name, nir.AvgPool2d(side, side, np.zeros_like(side)), source, (source.shape[0], 1, 1))


def _scale(graph: GraphBuilder, name: str, gain: float, source: Stream) -> Stream:
    return graph.linear(name, nir.Scale(np.full(source.shape, gain, dtype=np.float32)), source, source.shape)
