"""A genome on a device at two bits per base, and its windows as codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from danq.genome.nucleotide_codes import N
from danq.genome.packed_genome import PackedGenome
from danq.genome.variants.window_pieces import WindowPieces

if TYPE_CHECKING:
    from jaxtyping import Bool, Int64, UInt8


PINNED_BYTES = 1 << 26
"""Largest array that is copied through pinned memory, so that the host does not wait."""


def genome_bytes(genome: PackedGenome) -> int:
    """Bytes that a genome needs on a device: 2 bits per base, and its tables."""
    runs = genome.n_start.nbytes + genome.n_end.nbytes
    return genome.bases.nbytes + 16 * genome.lengths.size + runs


def to_device(array: np.ndarray, device: torch.device) -> Tensor:
    """A copy of an array on a device; the host does not wait for copies to a GPU."""
    # Copied, because torch warns about read-only arrays.
    array = array if array.flags.writeable else array.copy()
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    if device.type == "cuda" and array.nbytes <= PINNED_BYTES:
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


class DeviceGenome:
    """The arrays of `danq.genome.packed_genome.PackedGenome` on a device.

    Parameters
    ----------
    genome
        The genome.
    device
        Where it is stored.
    """

    def __init__(self, genome: PackedGenome, device: torch.device) -> None:
        self.genome, self.device = genome, device

        def put(array: np.ndarray) -> Tensor:
            return to_device(array, device)

        self._bases = put(genome.bases)
        self._offsets = put(genome.offsets)
        self._lengths = put(genome.lengths)
        self._n_start, self._n_end = put(genome.n_start), put(genome.n_end)

    def bases(self, position: Int64[Tensor, "..."]) -> UInt8[Tensor, "..."]:
        """Bases at global positions ``4 * offset + position``, as they are stored: N is 0.

        Positions outside the genome return any base.
        """
        byte = (position >> 2).clamp_(0, max(0, self._bases.numel() - 1))
        two_bits = (position & 3).to(torch.uint8) << 1
        return (self._bases[byte] >> two_bits) & 3

    def windows(
        self,
        contig: Int64[Tensor, "B"],
        first: Int64[Tensor, "B"],
        length: int,
        reverse: Bool[Tensor, "B"] | None = None,
        unknown: Int64[Tensor, "U"] | None = None,
    ) -> UInt8[Tensor, "B L"]:
        """Codes of windows, as `PackedGenome.windows` returns them.

        Parameters
        ----------
        contig
            Contig numbers.
        first
            0-based first position of each window on its contig; a window may extend past either
            end of the contig.
        length
            Bases of every window.
        reverse
            True where the window is reverse-complemented; None for the forward strand.
        unknown
            Indices of the windows with N or with bases outside their contig, at least; None if
            this is not known. `PackedGenome.unknown` finds them.
        """
        origin = 4 * self._offsets[contig]
        codes = self.bases(_positions(first + origin, length, reverse))
        if reverse is not None:
            codes ^= reverse[:, None].to(torch.uint8) * 3  # 3 - code, for codes 0 to 3
        if unknown is None:
            return self._mask(codes, contig, first, reverse)
        if unknown.numel():
            flips = None if reverse is None else reverse[unknown]
            codes[unknown] = self._mask(codes[unknown], contig[unknown], first[unknown], flips)
        return codes

    def _mask(
        self,
        codes: UInt8[Tensor, "B L"],
        contig: Int64[Tensor, "B"],
        first: Int64[Tensor, "B"],
        reverse: Bool[Tensor, "B"] | None,
    ) -> UInt8[Tensor, "B L"]:
        """Set code 4 outside the contig and inside runs of N."""
        position = _positions(first, codes.shape[1], reverse)
        masked = (position < 0) | (position >= self._lengths[contig][:, None])
        if self._n_end.numel():
            masked |= self._in_runs(position + 4 * self._offsets[contig][:, None])
        return codes.masked_fill_(masked, N)

    def _in_runs(self, position: Int64[Tensor, "..."]) -> Bool[Tensor, "..."]:
        """Whether global positions are in a run of N, of which there is at least one."""
        run = torch.searchsorted(self._n_end, position, right=True)
        start = self._n_start[run.clamp(max=self._n_end.numel() - 1)]
        return (run < self._n_end.numel()) & (start <= position)

    def written(self, windows: WindowPieces) -> UInt8[Tensor, "B L"]:
        """Codes of windows, as `WindowPieces.written` returns them.

        Only the pieces and the bases of alleles are copied to the device.
        """
        shape = len(windows), windows.length
        source, sizes, unknown, index, given = (
            to_device(array, self.device)
            for array in (
                windows.source - windows.start,
                windows.sizes,
                np.flatnonzero(windows.unknown(self.genome)),
                *windows.given(),
            )
        )
        bases = shape[0] * shape[1]
        position = torch.repeat_interleave(source, sizes, output_size=bases)
        position = (position + torch.arange(bases, device=self.device)).view(shape)
        codes = self.bases(position)
        if unknown.numel():
            codes[unknown] = codes[unknown].masked_fill_(self._in_runs(position[unknown]), N)
        codes.view(-1)[index] = given
        return codes


def reverse_complement(codes: UInt8[Tensor, "... L"]) -> UInt8[Tensor, "... L"]:
    """Reverse complement of codes; N stays N."""
    return torch.where(codes < N, 3 - codes, codes).flip(-1)


def _positions(
    first: Int64[Tensor, "B"], length: int, reverse: Bool[Tensor, "B"] | None
) -> Int64[Tensor, "B L"]:
    """Position of each base, in the reading direction of its window."""
    along = torch.arange(length, device=first.device)
    if reverse is None:
        return first[:, None] + along
    return first[:, None] + torch.where(reverse[:, None], length - 1 - along, along)
