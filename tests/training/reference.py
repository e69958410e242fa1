"""Plain, loop-written counterparts of the network's parts, on float64 arrays `(T, B, C, H, W)`."""

from __future__ import annotations

import numpy as np


def lif(current, tau=2.0, threshold=1.0):
    spikes = np.zeros_like(current)
    for index in np.ndindex(current.shape[1:]):
        v = 0.0
        for t in range(current.shape[0]):
            v = v + (current[(t, *index)] - v) / tau
            if v >= threshold:
                spikes[(t, *index)] = 1.0
                v = 0.0
    return spikes


def project(projection, x):
    """Convolution and BatchNorm in evaluation mode."""
    weight = projection.conv.weight.detach().double().numpy()
    stride, padding = projection.conv.stride[0], projection.conv.padding[0]
    norm = projection.norm
    mean, variance = norm.running_mean.double().numpy(), norm.running_var.double().numpy()
    scale, shift = norm.weight.detach().double().numpy(), norm.bias.detach().double().numpy()
    steps, batch, _, height, width = x.shape
    outputs, _, kernel, _ = weight.shape
    padded = np.pad(x, ((0, 0), (0, 0), (0, 0), (padding, padding), (padding, padding)))
    rows, columns = ((size + 2 * padding - kernel) // stride + 1 for size in (height, width))
    current = np.zeros((steps, batch, outputs, rows, columns))
    for t, b, o, i, j in np.ndindex(current.shape):
        patch = padded[t, b, :, i * stride : i * stride + kernel, j * stride : j * stride + kernel]
        value = np.sum(weight[o] * patch)
        current[t, b, o, i, j] = (value - mean[o]) / np.sqrt(variance[o] + norm.eps) * scale[o] + shift[o]
    return current


def project_causally(projection, x, steps):
    """The steps stacked as channels: x[t], x[t-1], …, zero before the first."""
    stacked = np.zeros((*x.shape[:2], steps * x.shape[2], *x.shape[3:]))
    for t in range(len(x)):
        for lag in range(min(t + 1, steps)):
            stacked[t, :, lag * x.shape[2] : (lag + 1) * x.shape[2]] = x[t - lag]
    return project(projection, stacked)


def or_pool(spikes, size=2):
    steps, batch, channels, height, width = spikes.shape
    pooled = np.zeros((steps, batch, channels, height // size, width // size))
    for t, b, c, i, j in np.ndindex(pooled.shape):
        pooled[t, b, c, i, j] = spikes[t, b, c, i * size : (i + 1) * size, j * size : (j + 1) * size].any()
    return pooled


def query_key(path, asking, asked, heads, mask_threshold=0.6):
    q = lif(project(path.q_proj, asking))
    k = lif(project(path.k_proj, asked))
    width = q.shape[2] // heads
    counts = np.zeros((*q.shape[:2], heads, *q.shape[3:]))
    for channel in range(q.shape[2]):
        counts[:, :, channel // width] += q[:, :, channel]
    mask = lif(counts, threshold=mask_threshold)
    attn = np.zeros_like(k)
    for channel in range(k.shape[2]):
        attn[:, :, channel] = np.logical_and(mask[:, :, channel // width], k[:, :, channel])
    return attn


def mean_over_space(spikes):
    mean = np.zeros((*spikes.shape[:3], 1, 1))
    for t, b, c in np.ndindex(spikes.shape[:3]):
        mean[t, b, c] = spikes[t, b, c].sum() / spikes[t, b, c].size
    return mean


def open_gate(fusion, spatial, temporal):
    norm = fusion.mean.norm
    mean, variance, scale, shift = (
        tensor.detach().double().numpy()[:, None, None]
        for tensor in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    current = (mean_over_space(spatial) - mean) / np.sqrt(variance + norm.eps) * scale + shift
    return np.logical_and(lif(current), temporal).astype(float)


def gated_sum(fusion, spatial, temporal):
    return spatial + open_gate(fusion, spatial, temporal)


def fixed_gate(fusion, spatial, temporal):
    space = lif(fusion.gain_space * mean_over_space(spatial))
    return np.logical_and(space, lif(fusion.gain_time * temporal)).astype(float)


def mlp(module, stream):
    return lif(project(module.out_proj, lif(project(module.hidden_proj, stream))))


def fuse_means(spatial, temporal):
    fused = np.zeros_like(spatial)
    for t, b, c, i, j in np.ndindex(fused.shape):
        fused[t, b, c, i, j] = (
            spatial[t, b, c].sum() / spatial[t, b, c].size * temporal[:, b, c, i, j].sum() / len(fused)
        )
    return fused


def ssa(module, asking, asked, heads):
    """O[token n, channel j] = sum over tokens m and the head's channels c of Q[n, c] K[m, c] V[m, j]."""
    q, k, v = (
        lif(project(projection, x))
        for projection, x in ((module.q_proj, asking), (module.k_proj, asked), (module.v_proj, asked))
    )
    width = q.shape[2] // heads
    positions = list(np.ndindex(q.shape[3:]))
    counts = np.zeros_like(q)
    for t, b, j in np.ndindex(q.shape[:3]):
        channels = range(j // width * width, (j // width + 1) * width)
        for n in positions:
            for m in positions:
                score = sum(q[(t, b, c, *n)] * k[(t, b, c, *m)] for c in channels)
                counts[(t, b, j, *n)] += score * v[(t, b, j, *m)]
    return lif(project(module.out_proj, lif(module.scale.item() * counts)))


def binary_ssa(module, asking, asked, heads):
    q, k, v = (
        lif(project(projection, x))
        for projection, x in ((module.q_proj, asking), (module.k_proj, asked), (module.v_proj, asked))
    )
    tokens = np.zeros((*q.shape[:3], 1, 1))
    for t, b, c in np.ndindex(q.shape[:3]):
        tokens[t, b, c] = np.logical_and(k[t, b, c], v[t, b, c]).sum()
    memory = lif(tokens, threshold=0.6)
    counts = np.zeros((*q.shape[:2], heads, *q.shape[3:]))
    for t, b, c, i, j in np.ndindex(q.shape):
        counts[t, b, c // (q.shape[2] // heads), i, j] += np.logical_and(memory[t, b, c, 0, 0], q[t, b, c, i, j])
    return lif(project(module.out_proj, lif(module.scale.item() * counts)))
