"""Windows of a packed genome for a model: cut on its GPU, or on the host."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from danq.genome.packed_genome import PackedGenome
from danq.inference.engine.device_genome import DeviceGenome, to_device
from danq.inference.engine.overlapping_windows import OverlappingWindows, shares
from danq.typing import CodeBatch, IntRow


class Positions(NamedTuple):
    """Windows that are still to be cut.

    Attributes
    ----------
    contig, first
        ``(B,)`` contig number and first position of each window.
    unknown
        Indices of the windows that contain N or extend past an end of their contig.
    """

    contig: Int64[np.ndarray, "B"]
    first: Int64[np.ndarray, "B"]
    unknown: Int64[np.ndarray, "U"]


class GenomeWindows:
    """Windows of a genome for a model on a device.

    On a GPU, windows are cut from a copy of the genome there, if they have more bases than the
    genome; only their positions are then copied for each batch. Otherwise they are cut on the
    host. For a CPU, windows that overlap enough are segments.

    Parameters
    ----------
    genome
        The genome.
    device
        Where the model runs.
    window
        Bases of a window.
    count
        Number of windows that will be read.
    """

    def __init__(self, genome: PackedGenome, device: torch.device, window: int, count: int) -> None:
        self.genome, self.window, self.device = genome, window, device
        self.on_device = cut_on_device(device, window * count, int(genome.lengths.sum()))
        self._copy: DeviceGenome | None = None

    def read(self, contig: IntRow, first: IntRow) -> CodeBatch | OverlappingWindows | Positions:
        """Prepare a batch, in any thread.

        Parameters
        ----------
        contig, first
            ``(B,)`` contig number and first position of each window.
        """
        if not self.on_device:
            overlap = None
            if self.device.type == "cpu":
                overlap = overlapping(self.genome, contig, first, self.window)
            return overlap or self.genome.windows(contig, first, self.window)
        unknown = np.flatnonzero(self.genome.unknown(contig, first, self.window))
        return Positions(contig, first, unknown)

    def load(
        self, block: CodeBatch | OverlappingWindows | Positions
    ) -> CodeBatch | OverlappingWindows | UInt8[Tensor, "B L"]:
        """Windows of a batch for a model, in the thread in which it runs."""
        if not isinstance(block, Positions):
            return block
        if self._copy is None:
            self._copy = DeviceGenome(self.genome, self.device)
        contig, first, unknown = (to_device(part, self.device) for part in block)
        return self._copy.windows(contig, first, self.window, unknown=unknown)


def overlapping(
    genome: PackedGenome, contig: IntRow, first: IntRow, window: int
) -> OverlappingWindows | None:
    """Windows as segments; None where they overlap too little for a shared convolution.

    Parameters
    ----------
    genome
        The genome.
    contig, first
        ``(B,)`` contig number and first position of each window, in any order.
    window
        Bases of a window.
    """
    if len(first) < 2:
        return None
    order = np.lexsort((first, contig))
    numbers, starts = np.asarray(contig, np.int64)[order], np.asarray(first, np.int64)[order]
    apart = (np.diff(numbers) != 0) | (np.diff(starts) > window)
    begin = np.concatenate([[0], np.flatnonzero(apart) + 1])
    end = np.append(begin[1:], len(starts)) - 1
    sizes = starts[end] + window - starts[begin]
    if not shares(int(sizes.sum()), len(first) * window):
        return None
    segments = [
        genome.windows(numbers[at : at + 1], starts[at : at + 1], size)[0]
        for at, size in zip(begin.tolist(), sizes.tolist(), strict=True)
    ]
    before = np.cumsum(sizes) - sizes
    inside = np.empty(len(first), np.int64)
    inside[order] = starts + np.repeat(before - starts[begin], end - begin + 1)
    return OverlappingWindows(np.concatenate(segments), inside, window)


def cut_on_device(device: torch.device, read: int, stored: int) -> bool:
    """Whether windows of ``read`` bases are cut on a device, from ``stored`` bases there."""
    return device.type == "cuda" and read > stored
