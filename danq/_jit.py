"""The one place that owns numba's compile options."""

from __future__ import annotations

import numba

kernel = numba.njit(cache=True, nogil=True)
inlined_kernel = numba.njit(cache=True, nogil=True, inline="always")
parallel_kernel = numba.njit(cache=True, nogil=True, parallel=True)
# Products may be fused with sums, which rounds once instead of twice; nothing else is relaxed. What
# is inlined follows the kernel around it.
parallel_arithmetic_kernel = numba.njit(
    cache=True, nogil=True, parallel=True, fastmath={"contract"}
)
