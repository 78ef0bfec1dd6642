"""What a device can do: its matrix peak, its memory's speed, and what DanQ needs of both."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.harness.reference_model import Size


def synchronize(device: torch.device) -> None:
    """Wait for all that the device was told to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def repeat(call: Callable[[], Any], device: torch.device, seconds: float) -> float:
    """Mean seconds of a call over about that long a time, after three calls that do not count."""
    for _ in range(3):
        call()
    synchronize(device)
    begun, count = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        # A device works behind the program; looking at the clock each time would stop it.
        for _ in range(5):
            call()
        count += 5
        synchronize(device)
    return (time.perf_counter() - begun) / count


def matrix_rate(device: torch.device, dtype: torch.dtype, size: int, seconds: float) -> float:
    """TFLOP/s of a square matrix product of random numbers; zeros would run faster."""
    a = torch.randn(size, size, device=device).to(dtype)
    b = torch.randn(size, size, device=device).to(dtype)
    out = torch.empty_like(a)
    return 2e-12 * size**3 / repeat(lambda: torch.mm(a, b, out=out), device, seconds)


def copy_rate(device: torch.device, size: int, seconds: float) -> float:
    """GB/s of copying within the device's memory, bytes read and written both counted."""
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2e-9 * size / repeat(lambda: target.copy_(source), device, seconds)


def abilities(device: torch.device, *, quick: bool) -> dict[str, Any]:
    """Name, versions, matrix rates and copy rate of a device."""
    side, size, seconds = (256, 1 << 20, 0.05) if quick else (8192, 1 << 30, 2.0)
    told: dict[str, Any] = {
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
        told["cudnn"] = torch.backends.cudnn.version()
        told["memory_gbytes"] = torch.cuda.get_device_properties(device).total_memory / 1e9
    return told


def least_bytes(size: Size, batch: int, itemsize: int, *, training: bool) -> int:
    """Bytes that must cross the device's memory for one batch, whoever computes it.

    Forward: the codes, every weight once, and what each layer gives written once and read once,
    with the convolution, ReLU and pool as one layer. Training: each of those is read once more
    and its gradient written and read; AdamW reads weight, gradient and two moments and writes
    weight and moments, in float32.
    """
    gates, out = 8 * size.hidden, 2 * size.hidden
    given = size.steps * (size.filters + gates + out) + size.dense + size.tracks
    weights = parameters(size)
    forward = batch * size.length + itemsize * (2 * batch * given + weights)
    if not training:
        return forward
    return forward + itemsize * (3 * batch * given + weights) + 4 * (1 + 4 + 3) * weights


def parameters(size: Size) -> int:
    """Number of the model's parameters; torch's LSTM has two biases."""
    conv = size.filters * (4 * size.width + 1)
    lstm = 8 * size.hidden * (size.filters + size.hidden + 2)
    dense = size.dense * (size.steps * 2 * size.hidden + 1)
    return conv + lstm + dense + size.tracks * (size.dense + 1)
