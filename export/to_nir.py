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

from collections.abc import Callable
from typing import Any

import nir
import numpy as np
from torch import nn

from snnergy.artefacts.samples import MODALITIES
from snnergy.artefacts.types import Labels, Shape
from snnergy.export import fold
from snnergy.export.graph import DT, Floats, GraphBuilder, Metadata, Stream, lif, memoryless
from snnergy.export.refusals import refuse_inexpressible
from snnergy.training.config.experiment import ModelConfig
from snnergy.training.config.systems import SystemConfig
from snnergy.training.model.attention import CMQKA, MLP, Direction, FixedGate, GatedSum, OpenGate, QueryKeyPath
from snnergy.training.model.layers import CausalProjection, OrPool, Projection
from snnergy.training.model.network import Encoder, Head, SNNergy, Stage
from snnergy.training.model.neurons import LIF
from snnergy.training.model.self_attention import BinarySSA
from snnergy.training.model.spds import SPDS, StemSPDS
from snnergy.training.model.system import System
from snnergy.training.systems.cmci import CMCI
from snnergy.training.systems.parts import CBL, Readout, TokenLinear, Tokens
from snnergy.training.systems.qkformer import Downsampling, PooledCBL, QKFormer, QueryKeyAttention

OUTPUT = "logits"


def to_nir(network: System, metadata: Metadata) -> nir.NIRGraph:
    """The graph of `network` in evaluation mode: inputs `video` and `audio`, or the one it sees; output `logits`.

    Args:
        network: trained; it is read, not changed. A blank modality is a matter of the data, so nothing here shows it.
        metadata: added to the graph's, which gives dt, time_steps, classes and profile, or the name of another system.

    Raises:
        UserError: with everything in the network that NIR cannot express.
    """
    refuse_inexpressible(network)
    config = network.config
    about: Metadata = {"time_steps": config.time_steps, "classes": config.classes}
    kind = {"profile": config.profile} if isinstance(config, ModelConfig) else {"system": config.system}
    return _walked(network).build({**metadata, **about, **kind})


def nodes_of(network: System) -> dict[str, nir.NIRNode]:
    """The nodes of `to_nir`, of a network that it takes."""
    return _walked(network).nodes


def _walked(network: System) -> GraphBuilder:
    of_head = {f"head.{modality}": Labels("head", modality=modality) for modality in MODALITIES}
    labels = {**network.labels(), **of_head, "head": Labels("head")}
    graph = GraphBuilder(labels.__getitem__)
    graph.output(OUTPUT, _WALKS[type(network)](graph, network))
    return graph


def snnergy(graph: GraphBuilder, network: SNNergy) -> Stream:
    """Logits `(classes,)` of both images."""
    video, audio = (_image(graph, name, network.config) for name in MODALITIES)
    for index, module in enumerate(network.stages, start=1):
        video, audio = stage(graph, f"stage{index}", module, video, audio)
    return head(graph, "head", network.head, video, audio, network.config.time_steps)


def _image(graph: GraphBuilder, modality: str, config: SystemConfig) -> Stream:
    channels = config.video_channels if modality == "video" else 1
    return graph.input(modality, (channels, config.image_size, config.image_size))


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
    """Spikes `(C, H, W)` to spikes `(C, H', W')`."""
    size, stride, padding = (np.full(2, value) for value in (module.size, module.stride, module.padding))
    rows, columns = (np.array(spikes.shape[1:]) + 2 * padding - size) // stride + 1
    shape = (spikes.shape[0], int(rows), int(columns))
    count = graph.linear(f"{path}.sum", nir.SumPool2d(size, stride, padding), spikes, shape)
    return graph.neurons(path, memoryless(0.5, shape), count)


def direction(graph: GraphBuilder, path: str, module: Direction, asking: Stream, asked: Stream) -> Stream:
    """One direction of a block: two streams `(C, H, W)` to the asking stream plus alpha · F plus its MLP."""
    if isinstance(module, CMQKA):
        attended = cmqka(graph, path, module, asking, asked)
    else:
        attended = binary_ssa(graph, f"{path}.ssa", module.ssa, asking, asked)
    stream = asking
    for source in attended.sources:
        stream += _scale(graph, f"{source}.alpha", module.alpha.item(), Stream((source,), attended.shape))
    return stream + mlp(graph, f"{path}.mlp", module.mlp, stream)


def cmqka(graph: GraphBuilder, path: str, module: CMQKA, asking: Stream, asked: Stream) -> Stream:
    """Two streams `(C, H, W)` to F `(C, H, W)`: one population, or the sum of two."""
    if module.variant == "spatial":
        return query_key_path(graph, f"{path}.spatial", module.spatial, asking, asked)
    if module.variant == "temporal":
        return query_key_path(graph, f"{path}.temporal", module.temporal, asking, asked)
    spatial = query_key_path(graph, f"{path}.spatial", module.spatial, asking, asked)
    temporal = query_key_path(graph, f"{path}.temporal", module.temporal, asking, asked)
    if isinstance(module.fusion, OpenGate):
        gated = open_gate(graph, f"{path}.fusion", module.fusion, spatial, temporal)
        return spatial + gated if isinstance(module.fusion, GatedSum) else gated
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
    memory = _lif(graph, f"{path}.memory", module.memory, _sum_over_space(graph, f"{path}.memory.sum", pair))
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


def qkformer(graph: GraphBuilder, network: QKFormer) -> Stream:
    """Logits `(classes,)` of one image."""
    stream = _image(graph, network.config.modality, network.config)
    for index, module in enumerate(network.stages, start=1):
        path = f"stage{index}"
        if module.first:
            stream = pooled_cbl(graph, f"{path}.stem", module.stem, stream)
        stream = downsampling(graph, f"{path}.down", module.down, stream)
        for b, block in enumerate(module.blocks):
            assert isinstance(block.attention, QueryKeyAttention), "self-attention is refused beforehand"
            stream += query_key_attention(graph, f"{path}.block{b}.attention", block.attention, stream)
            stream += mlp(graph, f"{path}.block{b}.mlp", block.mlp, stream)
    return plain_head(graph, network.head, stream, network.config.time_steps)


def downsampling(graph: GraphBuilder, path: str, module: Downsampling, stream: Stream) -> Stream:
    """`(inputs, H, W)` to the sum of two populations `(C, H / 2, W / 2)`."""
    spikes = pooled_cbl(graph, f"{path}.pooled", module.pooled, stream)
    deep = cbl(graph, f"{path}.deep", module.deep, spikes)
    return deep + cbl(graph, f"{path}.shortcut", module.shortcut, stream)


def query_key_attention(graph: GraphBuilder, path: str, module: QueryKeyAttention, stream: Stream) -> Stream:
    """A stream `(C, H, W)` to the spikes of `out` `(C, H, W)`."""
    q, k = cbl(graph, f"{path}.q", module.q, stream), cbl(graph, f"{path}.k", module.k, stream)
    if module.over == "token":
        mask = _lif(graph, f"{path}.mask", module.mask, _head_sum(graph, f"{path}.mask.sum", module.heads, q))
        spread = _wiring(graph, f"{path}.attn.spread", _members(module.heads, k.shape[0]).T, mask)
    else:
        mask = _lif(graph, f"{path}.mask", module.mask, _sum_over_space(graph, f"{path}.mask.sum", q))
        spread = _over_space(graph, f"{path}.attn.spread", mask, k.shape)
    return cbl(graph, f"{path}.out", module.out, _and(graph, f"{path}.attn", spread, k))


def cmci(graph: GraphBuilder, network: CMCI) -> Stream:
    """Logits `(classes,)` of both images; what each modality says alone is for training."""
    video, audio = (_image(graph, name, network.config) for name in MODALITIES)
    video, audio = tokens(graph, "video", network.video, video), tokens(graph, "audio", network.audio, audio)
    current = token_linear(graph, "fused.video", network.video_current, video)
    current += token_linear(graph, "fused.audio", network.audio_current, audio)
    fused = _lif(graph, "fused", network.fused, current)
    fused += mlp(graph, "mlp", network.mlp, fused)
    return plain_head(graph, network.head, fused, network.config.time_steps)


def tokens(graph: GraphBuilder, path: str, module: Tokens, image: Stream) -> Stream:
    """`(inputs, H, W)` to the sum of two populations `(D, H / patch, W / patch)`."""
    for index, (layer, pool) in enumerate(module.layers):
        image = cbl(graph, f"{path}.layer{index}", layer, image)
        if pool is not None:
            image = or_pool(graph, f"{path}.pool{index}", pool, image)
    return image + cbl(graph, f"{path}.position", module.position, image)


def pooled_cbl(graph: GraphBuilder, path: str, module: PooledCBL, stream: Stream) -> Stream:
    """`(inputs, H, W)` to spikes `(C, H / 2, W / 2)`."""
    spikes = _lif(graph, f"{path}.lif", module.lif, _conv(graph, f"{path}.lif.conv", module.proj, stream))
    assert isinstance(module.pool, OrPool), "pools of currents are refused beforehand"
    return or_pool(graph, f"{path}.pool", module.pool, spikes)


def cbl(graph: GraphBuilder, path: str, module: CBL, stream: Stream) -> Stream:
    """`(inputs, H, W)` to spikes `(C, H', W')`."""
    return _lif(graph, f"{path}.lif", module.lif, _conv(graph, f"{path}.lif.conv", module.proj, stream))


def token_linear(graph: GraphBuilder, name: str, module: TokenLinear, stream: Stream) -> Stream:
    """`(inputs, H, W)` to a current `(C, H, W)`."""
    assert module.conv.bias is not None
    weight, bias = (p.detach().cpu().numpy() for p in (module.conv.weight, module.conv.bias))
    return _conv2d(graph, name, module.conv, weight, bias, stream)


def plain_head(graph: GraphBuilder, module: Readout, stream: Stream, time_steps: int) -> Stream:
    """A stream `(C, H, W)` to a readout `(classes,)` that holds the logits after `time_steps` steps."""
    weight, bias = (p.detach().cpu().numpy() for p in (module.linear.weight, module.linear.bias))
    logits = _readout(graph, "head", weight, bias, stream)
    return graph.neurons("head", nir.I(r=np.full(bias.shape, 1 / time_steps, dtype=np.float32)), logits)


_WALKS: dict[type[System], Callable[[GraphBuilder, Any], Stream]] = {SNNergy: snnergy, QKFormer: qkformer, CMCI: cmci}


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
        return _conv2d(graph, name, module.conv, weight, bias, source)
    now, *past = np.split(weight, module.steps, axis=1)
    current = _conv2d(graph, name, module.conv, now, bias, source)
    for lag, earlier in enumerate(past, start=1):
        delay = nir.Delay(np.full(source.shape, lag * DT, dtype=np.float32))
        delayed = graph.linear(f"{name}{lag}_delay", delay, source, source.shape)
        current += _conv2d(graph, f"{name}{lag}", module.conv, earlier, np.zeros_like(bias), delayed)
    return current


def _conv2d(graph: GraphBuilder, name: str, conv: nn.Conv2d, weight: Floats, bias: Floats, source: Stream) -> Stream:
    node = nir.Conv2d(
        input_shape=source.shape[1:],
        weight=weight,
        stride=conv.stride,
        padding=conv.padding,
        dilation=conv.dilation,
        groups=conv.groups,
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


def _sum_over_space(graph: GraphBuilder, name: str, source: Stream) -> Stream:
    side = np.array(source.shape[1:])
    return graph.linear(name, nir.SumPool2d(side, side, np.zeros_like(side)), source, (source.shape[0], 1, 1))


def _mean_over_space(graph: GraphBuilder, name: str, source: Stream) -> Stream:
    side = np.array(source.shape[1:])
    return graph.linear(name, nir.AvgPool2d(side, side, np.zeros_like(side)), source, (source.shape[0], 1, 1))


def _scale(graph: GraphBuilder, name: str, gain: float, source: Stream) -> Stream:
    return graph.linear(name, nir.Scale(np.full(source.shape, gain, dtype=np.float32)), source, source.shape)
