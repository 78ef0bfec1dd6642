"""How a loaded model runs: device, precision, batch size, threads, strand, tolerance."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch

from danq.device import (
    BATCH_SIZES,
    Precision,
    check_precision,
    resolve_device,
    resolve_precision,
    resolve_threads,
)
from danq.errors import InputError

Strand = Literal["both", "forward"]

DEFAULT_TOLERANCE = 1e-6
"""Difference of hidden states below which a variant equals its reference: float32 rounding."""


@dataclass(frozen=True)
class RunOptions:
    """Settings of inference that belong to a loaded model.

    Attributes
    ----------
    device
        ``"auto"`` (the first CUDA device, else the CPU), ``"cpu"``, ``"cuda"``, ``"cuda:N"`` or
        ``"mps"``.
    precision
        ``"fp32"``, ``"bf16"`` or ``"auto"``: bf16 where the device has fast bfloat16 arithmetic,
        except for variants and mutagenesis on a GPU, whose effects are computed in fp32.
    batch_size
        Windows per batch. None selects the default of each function.
    threads
        CPU threads. None leaves torch's setting unchanged.
    strand
        ``"both"`` averages the predictions for a window and for its reverse complement;
        ``"forward"`` uses the window as given.
    tolerance
        For variants and mutagenesis: a change stops propagating once its hidden states are within
        this distance of the reference's. 0 is exact.
    measured
        For predictions of amounts: undo the transform and the scale of each track, so that they
        have the unit of the measured values; otherwise they have that of the training.

    Raises
    ------
    InputError
        When a value is not allowed or a named device is not available.
    """

    device: str = "auto"
    precision: str = "auto"
    batch_size: int | None = None
    threads: int | None = None
    strand: Strand = "both"
    tolerance: float = DEFAULT_TOLERANCE
    measured: bool = False

    def __post_init__(self) -> None:
        # "auto" is resolved when the model runs: here it would initialise a GPU that is not used.
        if self.device != "auto":
            resolve_device(self.device)
        check_precision(self.precision)
        for name in ("batch_size", "threads"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
                raise InputError(f"{name} is {value!r}, not a whole number", remedy="Use 1 or more")
        if self.batch_size is not None and self.batch_size < 1:
            raise InputError(
                f"batch_size is {self.batch_size}, the minimum is 1", remedy="Use 1 or more"
            )
        if self.threads is not None:
            resolve_threads(self.threads)
        if self.strand not in get_args(Strand):
            raise InputError(f"strand is {self.strand!r}", remedy="Choose 'both' or 'forward'")
        number = isinstance(self.tolerance, int | float) and not isinstance(self.tolerance, bool)
        if not number or not 0 <= self.tolerance < math.inf:
            raise InputError(
                f"tolerance is {self.tolerance!r}, the minimum is 0",
                remedy="Use a finite number of 0 or more",
            )

    @property
    def torch_device(self) -> torch.device:
        """The device that ``device`` stands for on this machine."""
        return resolve_device(self.device)

    @property
    def resolved_precision(self) -> Precision:
        """The precision that ``precision`` stands for on this device."""
        return resolve_precision(self.precision, self.torch_device)

    @property
    def windows_per_batch(self) -> int:
        """``batch_size``, or the default of this kind of device for whole windows."""
        return self.batch_size or BATCH_SIZES[self.torch_device.type]

    def resolved(self) -> RunOptions:
        """The options with device and precision resolved, to compare models."""
        return replace(self, device=str(self.torch_device), precision=self.resolved_precision)
