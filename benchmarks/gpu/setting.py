"""Device, sizes and rows that the parts of the benchmark share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness.reference_model import QUICK, ModelSize
from benchmarks.harness.timing import Measurement
from benchmarks.speed.device_peaks import synchronize


@dataclass(frozen=True)
class Setting:
    """What a part of the benchmark gets.

    Attributes
    ----------
    device
        Where models run.
    quick
        Small sizes, to check that everything runs.
    folder
        Temporary files, shared by the parts.
    """

    device: torch.device
    quick: bool
    folder: Path

    @property
    def size(self) -> ModelSize:
        """The model."""
        return QUICK if self.quick else ModelSize()

    @property
    def batches(self) -> tuple[int, ...]:
        """Windows per batch of the models alone."""
        return (4, 8) if self.quick else (100, 1024, 4096)

    @property
    def seconds(self) -> float:
        """Time of one measurement."""
        return 0.02 if self.quick else 0.7

    def some(self, quick: int, full: int) -> int:
        """A number of items."""
        return quick if self.quick else full

    def seconds_of(self, call: Callable[[], Any]) -> float:
        """Time of one call, after the device has finished."""
        start = time.perf_counter()
        call()
        synchronize(self.device)
        return time.perf_counter() - start


def rate(metric: str, count: int, seconds: float, unit: str, **details: Any) -> Measurement:
    """A number of items per second."""
    row = Measurement(metric, count / seconds, unit=unit, seconds=seconds)
    row.details = {"count": count, **details}
    return row
