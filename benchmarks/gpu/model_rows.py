"""The models alone: limits of the device, training steps, inference, the epoch, the profile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu.setting import Setting
from benchmarks.harness.reference_model import danq_module, random_codes
from benchmarks.harness.synthetic_data import random_dataset
from benchmarks.harness.timing import Measurement
from benchmarks.speed.device_peaks import copy_rate, matrix_rate
from benchmarks.speed.gpu import (
    EPOCH_BATCH,
    EPOCH_WINDOWS,
    REFERENCE,
    measure_epoch,
    measure_task,
    train_call,
)
from danq.device import Precision, autocast
from danq.gpu import accelerate_training

PEAKS = "peaks.json"
PARTS = {
    "LSTM": ("lstm", "gate", "rnn", "elementwise_bp"),
    "convolution": ("conv", "one_hot", "onehot", "pool", "winner"),
    "products": ("gemm", "mm", "cutlass", "cublas", "nvjet", "matmul", "linear"),
    "optimizer": ("adam", "multi_tensor", "foreach"),
    "dropout": ("dropout", "bernoulli", "philox"),
    "loss": ("cross_entropy", "logsigmoid", "sigmoid"),
    "copies and conversions": ("copy", "cast", "memcpy", "memset", "fill", "cat"),
}
"""Words in the names of operations, lower case, of each part of a training step."""


def limits(setting: Setting) -> Iterator[Measurement]:
    """Rates of the largest products and copies, to which shares refer."""
    side, size = (128, 1 << 18) if setting.quick else (8192, 1 << 30)
    device = setting.device
    peaks: dict[str, Any] = {
        "bf16_tflops": matrix_rate(device, torch.bfloat16, side, setting.seconds),
        "fp32_tflops": matrix_rate(device, torch.float32, side, setting.seconds),
        "copy_gbytes": copy_rate(device, size, setting.seconds),
    }
    (setting.folder / PEAKS).write_text(json.dumps(peaks))
    for name, value in peaks.items():
        unit = "GB/s" if name == "copy_gbytes" else "TFLOP/s"
        yield Measurement(name.partition("_")[0], value, unit=unit)


def training(setting: Setting) -> Iterator[Measurement]:
    """Training steps of plain torch and of danq."""
    yield from _task(setting, "training", [*REFERENCE, "danq"])


def inference(setting: Setting) -> Iterator[Measurement]:
    """Inference of plain torch and of danq."""
    yield from _task(setting, "inference", [*REFERENCE, "danq", "danq fp32"])


def _task(setting: Setting, task: str, models: list[str]) -> Iterator[Measurement]:
    file = setting.folder / PEAKS
    peaks = json.loads(file.read_text()) if file.exists() else None
    for batch in setting.batches:
        yield from measure_task(
            task, setting.size, batch, setting.device, peaks, models, setting.seconds
        )


def epoch(setting: Setting) -> Iterator[Measurement]:
    """Training on a part of an epoch of 4.4 million windows, and the time of all of it."""
    windows = setting.some(400, 240_000)
    size, batch = setting.size, setting.some(64, EPOCH_BATCH)
    dataset = random_dataset(
        setting.some(100_000, 300_000_000), windows, size.tracks, window=size.length
    )
    found = measure_epoch(dataset, size, batch, setting.device)
    for name, what in (("epoch_seconds", "training"), ("batches_seconds", "batches alone")):
        seconds = found[name] * EPOCH_WINDOWS / windows
        row = Measurement(f"epoch of {EPOCH_WINDOWS:,} windows, {what}", seconds, unit="s")
        row.note = f"extrapolated from {windows:,} windows in {found[name]:.2f} s"
        row.details = found
        yield row
    yield Measurement("host loader", found["host_windows_per_second"], unit="windows/s")


def step_profile(setting: Setting) -> Iterator[Measurement]:
    """Device time of a training step by part, and its longest operations."""
    device, batch = setting.device, setting.batches[-1]
    module = danq_module(setting.size).to(device).train()
    train = train_call(module, "bf16", twin=accelerate_training(module, device, "bf16"))
    codes = torch.from_numpy(random_codes(setting.size, batch)).to(device)
    labels = (torch.rand(batch, setting.size.tracks, device=device) < 0.02).to(torch.uint8)
    for _ in range(3):
        train(codes, labels)
    steps = setting.some(1, 5)
    cuda = device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    with profile(activities=activities) as profiled:
        elapsed = setting.seconds_of(lambda: [train(codes, labels) for _ in range(steps)])
    name = "self_device_time_total" if cuda else "self_cpu_time_total"
    # On a GPU, kernels have the time; the operators that launch them have it once more.
    events = [
        event
        for event in profiled.key_averages()
        if not cuda or str(getattr(event, "device_type", "")).endswith("CUDA")
    ]
    times = {event.key: getattr(event, name) / steps / 1e6 for event in events}
    total = sum(times.values())
    row = Measurement(f"training step of {batch} windows, profiled", elapsed / steps, unit="s")
    row.note = f"operations take {total:.4g} s"
    yield row
    parts: dict[str, float] = {}
    for key, seconds in times.items():
        part = part_of(key)
        parts[part] = parts.get(part, 0.0) + seconds
    for part, seconds in sorted(parts.items(), key=lambda item: -item[1]):
        row = Measurement(f"part {part}", seconds, unit="s")
        row.note = f"{seconds / total:.1%} of the operations" if total else ""
        yield row
    for key, seconds in sorted(times.items(), key=lambda item: -item[1])[:15]:
        yield Measurement(f"operation {key[:70]}", seconds, unit="s", note=part_of(key))


def part_of(operation: str) -> str:
    """Part of a training step that an operation belongs to, by its name."""
    name = operation.lower()
    return next((part for part, words in PARTS.items() if any(w in name for w in words)), "other")


def model_rate(setting: Setting, module: torch.nn.Module, precision: Precision) -> float:
    """Windows per second of a call on codes that are on the device."""
    batch = setting.batches[-1]
    codes = torch.from_numpy(random_codes(setting.size, batch)).to(setting.device)
    with torch.inference_mode(), autocast(setting.device, precision):
        for _ in range(3):
            module(codes)
        count = setting.some(2, 20)
        seconds = setting.seconds_of(lambda: [module(codes) for _ in range(count)])
    return batch * count / seconds
