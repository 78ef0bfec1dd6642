"""Compile options of numba, for all kernels."""

from __future__ import annotations

from typing import Any

import numba

from danq._kernel_cache import store


def _compiler(**options: Any) -> Any:
    """Make a decorator that compiles a function and stores the compiled code."""
    compile_ = numba.njit(nogil=True, **options)
    return lambda function: store(compile_(function))


kernel = _compiler()
inlined_kernel = _compiler(inline="always")
parallel_kernel = _compiler(parallel=True)
# A product and a sum may be fused, which rounds once instead of twice; no other rule is relaxed.
# Inlined kernels have the options of the kernel that calls them.
parallel_arithmetic_kernel = _compiler(parallel=True, fastmath={"contract"})
