"""A small model runs on the selected device: whether its results are right, and how fast it is."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from danq._kernel_cache import compiled_kernels
from danq.core.one_hot_conv import one_hot
from danq.device import resolve_threads, set_threads
from danq.diagnosis.report import Finding
from danq.inference.engine.forward import predict_codes
from danq.models import architecture, untrained
from danq.models.run_options import RunOptions

WINDOW, TRACKS, CHECKED = 1000, 8, 8
BATCH = {"cpu": 64, "cuda": 2048, "mps": 256}
"""Windows that are predicted at a time, by kind of device."""

REPEATS, SECONDS = 5, 1.0
"""Repeats of a measurement at most, and seconds after which no further one begins."""

TOLERANCE = {"fp32": 1e-4, "bf16": 0.02}
"""Largest difference of a probability that rounding explains."""


class Forward(NamedTuple):
    """What the run of the model gave; the fields are those of `Measured`."""

    first_seconds: float
    compiled: int
    windows_per_second: float
    one_thread: float | None
    difference: float


def run_forward(device: torch.device, precision: str) -> Forward:
    """Predict random windows with an untrained danq-small, as `danq.predict` does."""
    # The random state of the caller stays.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tracks = tuple(f"track{number}" for number in range(TRACKS))
        model = untrained("danq-small", architecture("danq-small"), tracks, WINDOW, 200)
    codes = np.random.default_rng(0).integers(0, 5, (BATCH[device.type], WINDOW), np.uint8)
    own = torch.get_num_threads()
    threads = resolve_threads()
    options = RunOptions(device=str(device), precision=precision, threads=threads)
    try:
        before, begun = compiled_kernels(), time.perf_counter()
        found = predict_codes(model.module, codes, options)
        first, compiled = time.perf_counter() - begun, compiled_kernels() - before
        speed = _speed(model.module, codes, options)
        one = None
        if device.type == "cpu" and threads > 1:
            one = _speed(model.module, codes, RunOptions("cpu", precision, threads=1))
    finally:
        set_threads(own)
    return Forward(first, compiled, speed, one, _difference(model.module, codes, found))


def forward_findings(found: Forward, precision: str, cores: int) -> Iterator[Finding]:
    """Wrong results, and threads that do not help."""
    if not found.difference <= TOLERANCE[precision]:
        yield Finding(
            "broken",
            f"probabilities differ by {found.difference:.2g} from those of torch's layers on the "
            f"CPU; at most {TOLERANCE[precision]:g} is rounding",
            "Update torch and the driver, or set the device to cpu, and report this to danq",
        )
    if found.one_thread and cores > 1 and found.windows_per_second < 1.2 * found.one_thread:
        yield Finding(
            "slow",
            f"{cores} threads are not faster than one: other programs use the CPU, or the "
            "process may use fewer CPUs than it sees",
            "End other programs, or set the number of threads to the CPUs that are free",
        )


def _speed(module: torch.nn.Module, codes: np.ndarray, options: RunOptions) -> float:
    """Windows per second."""
    predict_codes(module, codes, options)
    seconds: list[float] = []
    while len(seconds) < REPEATS and sum(seconds) < SECONDS:
        begun = time.perf_counter()
        predict_codes(module, codes, options)
        seconds.append(time.perf_counter() - begun)
    return len(codes) / statistics.median(seconds)


def _difference(module: torch.nn.Module, codes: np.ndarray, found: np.ndarray) -> float:
    """Largest difference from torch's layers, which run on soft one-hot channels."""
    some = torch.from_numpy(codes[:CHECKED])
    reverse = torch.where(some < 4, 3 - some.long(), 4).flip(1)
    with torch.inference_mode():
        strands = [module(one_hot(one, 0.0)).sigmoid() for one in (some, reverse)]
    expected = ((strands[0] + strands[1]) / 2).numpy()
    return float(np.abs(expected - found[:CHECKED]).max())
