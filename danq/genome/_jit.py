"""The one place that owns numba's compile options."""

from __future__ import annotations

import numba

kernel = numba.njit(cache=True, nogil=True)
parallel_kernel = numba.njit(cache=True, nogil=True, parallel=True)
