"""Compile the kernels of a layer for a card that this machine need not have.

Run as a program, because the interpreter of Triton must be off: it prints one JSON object per
kernel. Arguments: compute capability (90), width, pool, filters, units.
"""

from __future__ import annotations

import json
import sys

import torch
import triton
from triton.backends.compiler import GPUTarget

from danq.core import OneHotConv
from danq.gpu import _conv_kernels, _lstm_kernels, fused_conv, fused_lstm


class Card:
    """As much of a driver as compiling needs."""

    def __init__(self, capability: int) -> None:
        self.target = GPUTarget("cuda", capability, 32)

    def get_current_target(self) -> GPUTarget:
        return self.target

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 0


def main() -> None:
    capability, width, pool, filters, units = map(int, sys.argv[1:])
    triton.runtime.driver.set_active(Card(capability))

    def show(kernel, arguments, warps: int, dtype: torch.dtype) -> None:
        done = kernel.warmup(*arguments, grid=(1,), num_warps=warps, enable_fp_fusion=True)
        row = {"kernel": done.metadata.name, "dtype": str(dtype), "shared": done.metadata.shared}
        print(json.dumps(row | {"products": "mma" in done.asm["ptx"]}))

    byte, full, half = torch.uint8, torch.float32, torch.bfloat16
    layer = OneHotConv(filters, width, pool=pool)
    for dtype in (half, full):
        packed = fused_conv.PackedFilters(layer, dtype)
        for train in (True, False):
            layout = packed.layout(1000, train=train)
            given = (byte, half, full, dtype, byte, 4096, layout)
            show(_conv_kernels.forward, given, fused_conv.WARPS, dtype)
        given = (byte, dtype, byte, full, full, 4096, layout, _conv_kernels.TYPES[half])
        show(_conv_kernels.weight_gradient, given, fused_conv.WARPS, dtype)
        # Both directions of a training, with and without a mask, and inference.
        for towards, masked in ((1, True), (-1, False), (0, True), (0, False)):
            keep = towards != 0
            step = fused_lstm.StepLayout(units, fused_lstm.BLOCK, towards, masked, keep)
            given = (dtype, dtype, full, full, dtype, byte, 4096 * units, step)
            show(_lstm_kernels.step_forward, given, fused_lstm.WARPS, dtype)
            if keep:
                given = (dtype, full, dtype, dtype, full, byte, 4096 * units, step)
                show(_lstm_kernels.step_backward, given, fused_lstm.WARPS, dtype)


if __name__ == "__main__":
    main()
