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


def fuse(fusion, spatial, temporal):
    space = np.zeros((*spatial.shape[:3], 1, 1))
    for t, b, c in np.ndindex(spatial.shape[:3]):
        space[t, b, c] = fusion.gain_space * spatial[t, b, c].sum() / spatial[t, b, c].size
    return np.logical_and(lif(space), lif(fusion.gain_time * temporal)).astype(float)


def mlp(module, stream):
    return lif(project(module.out_proj, lif(project(module.hidden_proj, stream))))
