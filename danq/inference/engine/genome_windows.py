"""Windows of a packed genome for a model: cut on its GPU, or on the host."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from danq.genome.packed_genome import PackedGenome
from danq.inference.engine.device_genome import DeviceGenome, to_device
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
    host.

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

    def read(self, contig: IntRow, first: IntRow) -> CodeBatch | Positions:
        """Prepare a batch, in any thread.

        Parameters
        ----------
        contig, first
            ``(B,)`` contig number and first position of each window.
        """
        if not self.on_device:
            return self.genome.windows(contig, first, self.window)
        unknown = np.flatnonzero(self.genome.unknown(contig, first, self.window))
        return Positions(contig, first, unknown)

    def load(self, block: CodeBatch | Positions) -> CodeBatch | UInt8[Tensor, "B L"]:
        """Codes of a batch, where they are cut; in the thread in which the model runs."""
        if not isinstance(block, Positions):
            return block
        if self._copy is None:
            self._copy = DeviceGenome(self.genome, self.device)
        contig, first, unknown = (to_device(part, self.device) for part in block)
        return self._copy.windows(contig, first, self.window, unknown=unknown)


def cut_on_device(device: torch.device, read: int, stored: int) -> bool:
    """Whether windows of ``read`` bases are cut on a device, from ``stored`` bases there."""
    return device.type == "cuda" and read > stored
