"""Every number that a chip's registers impose, each with its source, in one table.

Sources: [lava] lava-nc 0.10.0, `lava/proc/lif/models.py` and `lava/utils/weightutils.py`;
[netx] lava-dl 0.6.0, `lava/lib/dl/netx/hdf5.py`; [nengo-loihi] its block and validate modules (Loihi 1).
"""

from __future__ import annotations

STATE_BITS = 24  # [lava] u and v, sign included
STATE_MAX = (1 << (STATE_BITS - 1)) - 1
ALIGN_SHIFT = 6  # [lava] synaptic input and threshold are shifted left by 6 against u and v
DECAY_ONE = 4096  # [lava] decays are 12-bit fractions; 4096 clears the state each step

WEIGHT_MANTISSA_MAX = 127  # [lava] 8-bit mixed-sign synapses, kept symmetric
WEIGHT_EXPONENT_MIN, WEIGHT_EXPONENT_MAX = -8, 7  # [nengo-loihi]
STOCK_WEIGHT_RANGE = (-256, 255)  # [lava] widest effective weight of a stock file
THRESHOLD_MAX = (1 << 17) - 1  # [lava] vth mantissa, unsigned 17 bit
BIAS_MANTISSA_MAX = (1 << 12) - 1  # [lava] signed 13 bit, kept symmetric
BIAS_EXPONENT = 6  # [netx] fixed by the file format
DELAY_MAX = 62  # [netx] longest synaptic delay in steps
GRADED_BITS_MAX = 24  # [lava] payload of a graded spike (Loihi 2)
