"""The integer weights that a dense matrix of a `.net` file acts with once stock netx and Lava have loaded it.

netx scales a dense matrix to the left of an 8-bit synapse and Lava undoes it after the sum:

    s, n = scale and precision that netx picks      (lava-dl 0.6.0, `lava/lib/dl/netx/utils.py`)
    w'   = truncate(clip(w << s), 8 - n bits)       (lava-nc 0.10.0, `lava/utils/weightutils.py`)
    a    = (Σ w'·x) >> s

which is Σ (w' >> s)·x when every w' is a multiple of 2^s. Conv weights pass unchanged.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_MIXED_MAX, _MIXED_MIN = 254, -256  # netx clips a mixed matrix here
_ONE_SIGN_MAX = 255  # Lava clips a matrix of one sign here


def stock_dense_weight(weight: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Effective integer weights of a stored dense matrix.

    Raises:
        ValueError: netx cannot load the matrix, or loads it to something that no integer matrix equals.
    """
    return stock_joint_weights(weight, scaled_back=True)[0]


def stock_joint_weights(*parts: npt.NDArray[np.int64], scaled_back: bool) -> tuple[npt.NDArray[np.int64], ...]:
    """Effective weights of matrices of as many rows for which netx picks one scale and precision.

    Args:
        scaled_back: whether netx tells Lava the scale, which it forgets for recurrent layers with delays.

    Raises:
        ValueError: as for a single one.
    """
    weight = np.hstack(parts)
    largest, smallest = int(weight.max()), int(weight.min())
    if (largest > _MIXED_MAX and smallest < 0) or (smallest < _MIXED_MIN and largest > 0):
        weight = np.clip(weight, _MIXED_MIN, _MIXED_MAX)
        largest, smallest = int(weight.max()), int(weight.min())
    if largest == smallest == 0:
        raise ValueError("all weights are zero, which netx cannot scale; leave the layer out")
    # netx and Lava disagree on a matrix with weights <= 0: with a zero in it netx calls it mixed, Lava inhibitory.
    if largest < 0:
        signed, headroom = 0, -256 / smallest
    elif smallest >= 0:
        signed, headroom = 0, 255 / largest
    else:
        signed, headroom = 1, min(127 / largest if largest else np.inf, -128 / smallest)
    scale_bits = int(np.floor(np.log2(headroom))) + signed
    if scale_bits < 0:
        raise ValueError(f"weights {smallest}..{largest} leave 8 bits and netx cannot load them; quantize to 8 bits")
    bits_dropped = scale_bits + _trailing_zeros(weight) - signed
    held = np.hsplit(weight, np.cumsum([part.shape[1] for part in parts])[:-1])
    if bits_dropped < 0 and any(part.min() >= 0 or part.max() <= 0 for part in held):
        raise ValueError("netx asks for 9 bits, which Lava has for mixed signs only, of one; rescale the layer")
    acting = [as_lava_holds(part << scale_bits, bits_dropped) for part in held]
    if not scaled_back:
        return tuple(acting)
    if any((part & ((1 << scale_bits) - 1)).any() for part in acting):
        raise ValueError(f"weights {smallest}..{largest} lose low bits unevenly in Lava; rescale the layer")
    return tuple(part >> scale_bits for part in acting)


def _trailing_zeros(weight: npt.NDArray[np.int64]) -> int:
    """Low bits, at most 8, that are zero in every weight."""
    return next(n for n in range(8, -1, -1) if not (weight & ((1 << n) - 1)).any())


def as_lava_holds(weight: npt.NDArray[np.int64], bits_dropped: int) -> npt.NDArray[np.int64]:
    """A weight matrix after Lava clipped it to 8 bits for its sign and cleared low bits by an arithmetic floor.

    Args:
        weight: integers of any shape; one sign throughout (zeros allowed) makes a synapse excitatory or inhibitory.
        bits_dropped: 8 minus Lava's `num_weight_bits`; a matrix of mixed sign loses one bit more.
    """
    if weight.min() >= 0 or weight.max() <= 0:
        sign = 1 if weight.min() >= 0 else -1
        magnitude = np.clip(sign * weight, 0, _ONE_SIGN_MAX)
        return sign * (magnitude >> bits_dropped << bits_dropped)
    clipped = np.clip(weight, -256, 255)
    return clipped >> (bits_dropped + 1) << (bits_dropped + 1)
