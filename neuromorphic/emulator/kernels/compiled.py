"""How the kernels are compiled: on first use, kept on disk, one thread each so that samples can share the cores."""

from __future__ import annotations

import numba

# Machine code of this processor that runs without Python's lock. Division by zero gives infinity, as in C: a check of
# each division would keep loops from being vectorised.
compiled = numba.njit(cache=True, nogil=True, error_model="numpy")
