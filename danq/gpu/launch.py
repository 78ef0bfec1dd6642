"""Start of a kernel."""

from __future__ import annotations

from typing import Any


def launch(kernel: Any, grid: tuple[int, ...], *arguments: object, warps: int) -> None:
    """Start a kernel of Triton on the current CUDA device and stream.

    Parameters
    ----------
    kernel
        A function with the decorator of Triton.
    grid
        Number of programs in each dimension.
    arguments
        Arguments of the kernel.
    warps
        Warps per program.
    """
    # A product and a sum may be fused. Releases of Triton differ in their default.
    kernel[grid](*arguments, num_warps=warps, enable_fp_fusion=True)
