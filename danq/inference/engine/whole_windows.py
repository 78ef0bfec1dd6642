"""Logits of whole windows in large batches, for effects of variants on a GPU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor, nn

from danq.device import Precision, autocast, memory_errors
from danq.genome.nucleotide_codes import N
from danq.inference.engine.forward import prepared
from danq.models.run_options import RunOptions
from danq.models.targets import TargetGroup, track_scores

BATCH = 4096
"""Windows per batch where the options name no batch size."""

SMALLEST = 64
"""Windows of the smallest batch; smaller ones are padded."""


TF32 = False
"""Whether products of float32 use TF32 on a GPU that has it, which rounds factors to 10 bits.

With it, effects on a trained model have an error of 0.2 % (``docs/performance.md``)."""


def evaluates_whole_windows(device: torch.device) -> bool:
    """Whether effects are computed from whole windows on a device, instead of incrementally.

    A step of the incremental evaluation is a dozen small operations. On a CPU, their time is that
    of their arithmetic. On a GPU it is that of their launches, 0.9 ms per step on an H200 for any
    number of rows, and a pass has two scans over all steps. In that time the GPU evaluates more
    whole windows than a pass has: ``docs/performance.md`` has the calculation.
    """
    return device.type != "cpu"


def effect_options(options: RunOptions) -> RunOptions:
    """Options in which effects are computed: on a GPU in fp32, unless a precision is set.

    Effects are small differences of logits. The rounding of bf16 in whole windows does not cancel
    where the windows differ.
    """
    if options.precision == "auto" and evaluates_whole_windows(options.torch_device):
        return replace(options, precision="fp32")
    return options


class WholeWindows:
    """Logits of windows that are stored on a device.

    Parameters
    ----------
    module
        Maps codes ``(B, L)`` to logits ``(B, K)``, or to the outputs of ``targets``. It does not
        change.
    options
        How the model runs. ``strand`` and ``tolerance`` do not apply.
    targets
        Groups of the tracks: `logits` then gives `danq.models.targets.track_scores`. None if every
        output is the logit of a track.
    tf32
        Whether products of float32 use TF32.

    Attributes
    ----------
    device
        Where the windows are.
    batch
        Windows per batch.
    """

    def __init__(
        self,
        module: nn.Module,
        options: RunOptions,
        targets: Sequence[TargetGroup] = (),
        *,
        tf32: bool = TF32,
    ) -> None:
        self.device = options.torch_device
        self._precision: Precision = options.resolved_precision
        self.batch = BATCH if options.batch_size is None else options.batch_size
        self._tf32, self._targets = tf32, tuple(targets)
        with memory_errors():
            self._module = prepared(module, options)

    def logits(self, codes: UInt8[Tensor, "B L"]) -> Float32[Tensor, "B K"]:
        """Logits on the device; at least one window.

        The last of several batches is padded to a full one, a single batch to one of few sizes, for
        which kernels are compiled. A result therefore depends on ``codes`` alone.

        Raises
        ------
        InputError
            When the device has not enough memory for a batch.
        """
        done = []
        with (
            memory_errors(min(self.batch, len(codes))),
            torch.inference_mode(),
            autocast(self.device, self._precision),
            float32_products(tf32=self._tf32),
        ):
            for part in codes.split(self.batch):
                several = len(codes) > self.batch
                size = self.batch if several else padded_size(len(part), self.batch)
                padded = nn.functional.pad(part, (0, 0, 0, size - len(part)), value=N)
                outputs = self._module(padded)[: len(part)].float()
                done.append(track_scores(outputs, self._targets))
        return done[0] if len(done) == 1 else torch.cat(done)


def padded_size(windows: int, batch: int) -> int:
    """Size of a batch: the next power of two or multiple of an eighth of the full batch."""
    step = max(1, batch // 8)
    size = SMALLEST
    while size < windows:
        size = 2 * size if size < step else step * (size // step + 1)
    return min(batch, size)


@contextmanager
def float32_products(*, tf32: bool) -> Iterator[None]:
    """Compute products of float32 with or without TF32; the settings of torch do not apply."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    owners: tuple[Any, ...] = cudnn, matmul
    name: str = "allow_tf32"
    setting: bool | str = tf32
    try:
        before = [getattr(owner, name) for owner in owners]
    except RuntimeError:  # the user has set them by torch's newer names
        owners = cudnn.conv, cudnn.rnn, matmul  # pyright: ignore[reportAttributeAccessIssue]
        name, setting = "fp32_precision", "tf32" if tf32 else "ieee"
        before = [getattr(owner, name) for owner in owners]
    try:
        for owner in owners:
            setattr(owner, name, setting)
        yield
    finally:
        for owner, value in zip(owners, before, strict=True):
            setattr(owner, name, value)
