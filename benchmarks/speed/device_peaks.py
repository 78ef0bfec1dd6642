"""Peak matrix and copy rates of a device, and the memory traffic that DanQ needs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.harness.reference_model import ModelSize


def synchronize(device: torch.device) -> None:
    """Wait until the device has finished."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def mean_seconds(call: Callable[[], Any], device: torch.device, seconds: float) -> float:
    """Mean time of a call, repeated for some seconds after three warm-up calls."""
    for _ in range(3):
        call()
    synchronize(device)
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        # A device works asynchronously; waiting for it after each call would slow it down.
        for _ in range(5):
            call()
        count += 5
        synchronize(device)
    return (time.perf_counter() - start) / count


def matrix_rate(device: torch.device, dtype: torch.dtype, size: int, seconds: float) -> float:
    """TFLOP/s of a square matrix product of random numbers; zeros would be faster."""
    a = torch.randn(size, size, device=device).to(dtype)
    b = torch.randn(size, size, device=device).to(dtype)
    out = torch.empty_like(a)
    return 2e-12 * size**3 / mean_seconds(lambda: torch.mm(a, b, out=out), device, seconds)


def copy_rate(device: torch.device, size: int, seconds: float) -> float:
    """GB/s of a copy within the device's memory; bytes read and written are both counted."""
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2e-9 * size / mean_seconds(lambda: target.copy_(source), device, seconds)


def device_peaks(device: torch.device, *, quick: bool) -> dict[str, Any]:
    """Name, versions, matrix rates and copy rate of a device."""
    side, size, seconds = (256, 1 << 20, 0.05) if quick else (8192, 1 << 30, 2.0)
    peaks: dict[str, Any] = {
        "device": str(device),
        "name": torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU",
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "bf16_tflops": matrix_rate(device, torch.bfloat16, side, seconds),
        "fp32_tflops": matrix_rate(device, torch.float32, side, seconds),
        "copy_gbytes": copy_rate(device, size, seconds),
        "tf32": {
            "products": torch.backends.cuda.matmul.allow_tf32,
            "cudnn": torch.backends.cudnn.allow_tf32,
        },
    }
    if device.type == "cuda":
        peaks["cudnn"] = torch.backends.cudnn.version()
        peaks["memory_gbytes"] = torch.cuda.get_device_properties(device).total_memory / 1e9
    return peaks


def minimum_traffic(size: ModelSize, batch: int, itemsize: int, *, training: bool) -> int:
    """Bytes that any implementation moves through the device's memory for one batch.

    Forward: the codes, every weight once, and the output of each layer written once and read
    once; convolution, ReLU and pool count as one layer. Training: each of these is read once more
    and its gradient is written and read; AdamW reads weight, gradient and two moments and writes
    weight and moments, in float32.
    """
    gates, out = 8 * size.hidden, 2 * size.hidden
    outputs = size.steps * (size.filters + gates + out) + size.dense + size.tracks
    weights = size.parameters
    forward = batch * size.length + itemsize * (2 * batch * outputs + weights)
    if not training:
        return forward
    return forward + itemsize * (3 * batch * outputs + weights) + 4 * (1 + 4 + 3) * weights
