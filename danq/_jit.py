"""Compile options of numba, for all kernels."""

from __future__ import annotations

import numba

kernel = numba.njit(cache=True, nogil=True)
inlined_kernel = numba.njit(cache=True, nogil=True, inline="always")
parallel_kernel = numba.njit(cache=True, nogil=True, parallel=True)
# A product and a sum may be fused, which rounds once instead of twice; no other rule is relaxed.
# Inlined kernels have the options of the kernel that calls them.
parallel_arithmetic_kernel = numba.njit(
    cache=True, nogil=True, parallel=True, fastmath={"contract"}
)
