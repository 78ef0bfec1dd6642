"""Batches gathered on a GPU from a genome and labels that are stored there."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from danq.datasets.batches import Batches
from danq.datasets.dataset import Dataset
from danq.errors import InputError
from danq.inference.engine.device_genome import DeviceGenome, genome_bytes, to_device

if TYPE_CHECKING:
    from jaxtyping import Bool, Int64, UInt8

CHUNK = 1 << 20
"""Windows per step of the search for windows with unknown bases."""


def device_bytes(dataset: Dataset) -> int:
    """Bytes that a dataset needs on a device.

    2 bits a base, 1 bit a label, 4 bytes an amount, and 12 bytes a window, 16 with weights.
    """
    windows = (12 if dataset.values.weights is None else 16) * len(dataset)
    amounts = 0 if dataset.measured is None else dataset.measured.values.nbytes
    return genome_bytes(dataset.genome) + dataset.packed.nbytes + amounts + windows


class DeviceWindows:
    """Genome and labels of a dataset on a device, packed as in `Dataset`, and windows of them.

    Parameters
    ----------
    dataset
        The labelled windows.
    device
        Where they are stored.
    max_shift
        Largest shift of a window, in bases and in either direction.

    Raises
    ------
    InputError
        When the device has less free memory than the dataset takes, or ``max_shift`` is below 0.
    """

    def __init__(
        self, dataset: Dataset, device: torch.device | str = "cpu", *, max_shift: int = 0
    ) -> None:
        self.dataset, self.device, self.max_shift = dataset, torch.device(device), max_shift
        if max_shift < 0:
            raise InputError(f"max_shift is {max_shift}, the minimum is 0")
        need, free = device_bytes(dataset), _free_memory(self.device)
        if free is not None and need > free:
            raise InputError(
                f"the dataset needs {need / 1e9:.1f} GB on {self.device}, "
                f"which has {free / 1e9:.1f} GB free",
                file=dataset.path,
                remedy="Use a device with more memory, or train on the CPU",
            )
        self._genome = DeviceGenome(dataset.genome, self.device)
        self._packed = self._put(dataset.packed)
        measured, weights = dataset.measured, dataset.values.weights
        self._amounts = None if measured is None else self._put(measured.values)
        self._weights = None if weights is None else self._put(weights)
        self._contig = self._put(dataset.contig.astype(np.int32))
        first = dataset.start + (dataset.bin // 2 - dataset.window // 2)
        self._first = self._put(first.astype(np.int64))
        self._has_unknown = self._find_unknown(first)
        self._bits = torch.arange(8, dtype=torch.uint8, device=self.device)

    def codes(
        self, indices: ArrayLike, reverse: ArrayLike | None = None, shift: ArrayLike | None = None
    ) -> UInt8[Tensor, "B L"]:
        """Codes as `Dataset.codes` returns them, on the device.

        Parameters
        ----------
        indices
            ``(B,)`` indices of windows.
        reverse
            ``(B,)`` True for the reverse complement.
        shift
            ``(B,)`` bases to shift each window by; positive towards the contig's end.

        Raises
        ------
        InputError
            When an index is out of range or a shift is larger than ``max_shift``.
        """
        rows = self.dataset.checked(indices)
        moves = None if shift is None else np.asarray(shift, dtype=np.int64)
        if moves is not None and moves.size and np.abs(moves).max() > self.max_shift:
            raise InputError(
                f"a shift of {moves[np.abs(moves).argmax()]} bases is larger than max_shift, "
                f"{self.max_shift}"
            )
        flips = None if reverse is None else self._put(np.asarray(reverse, dtype=np.bool_))
        return self._codes(
            self._put(rows),
            flips,
            None if moves is None else self._put(moves),
            np.flatnonzero(self._has_unknown[rows]),
        )

    def labels(self, indices: ArrayLike) -> UInt8[Tensor, "B K"]:
        """Labels as `Dataset.labels` returns them, on the device.

        Raises
        ------
        InputError
            When an index is out of range.
        """
        return self._labels(self._put(self.dataset.checked(indices)))

    def _codes(
        self,
        rows: Int64[Tensor, "B"],
        reverse: Bool[Tensor, "B"] | None,
        shift: Int64[Tensor, "B"] | None,
        unknown: np.ndarray,
    ) -> UInt8[Tensor, "B L"]:
        """Codes of windows; ``unknown`` are the indices in ``rows`` of windows that may hold N."""
        contig = self._contig[rows].long()
        first = self._first[rows] if shift is None else self._first[rows] + shift
        return self._genome.windows(contig, first, self.dataset.window, reverse, self._put(unknown))

    def _labels(self, rows: Int64[Tensor, "B"]) -> UInt8[Tensor, "B K"]:
        spread = (self._packed[rows].unsqueeze(2) >> self._bits) & 1
        return spread.flatten(1)[:, : self.dataset.peaks.size].contiguous()

    def _targets(
        self, rows: Int64[Tensor, "B"], reverse: Bool[Tensor, "B"] | None
    ) -> tuple[Tensor, ...]:
        """Labels, or labels and amounts, and weights if there are any, as `Batches` yields them."""
        targets = self._labels(rows)
        if self._amounts is not None:
            amounts = self._amounts[rows]
            if reverse is not None and amounts.dim() == 3:
                amounts = torch.where(reverse[:, None, None], amounts.flip(2), amounts)
            targets = torch.cat([targets.float(), amounts.flatten(1)], dim=1)
        return (targets,) if self._weights is None else (targets, self._weights[rows])

    def _find_unknown(self, first: np.ndarray) -> np.ndarray:
        """``(W,)`` True for windows that hold an unknown base at some allowed shift."""
        dataset = self.dataset
        found = np.empty(len(dataset), dtype=np.bool_)
        for low in range(0, len(dataset), CHUNK):
            part = slice(low, low + CHUNK)
            contig = dataset.contig[part].astype(np.int64)
            size = dataset.window + 2 * self.max_shift
            found[part] = dataset.genome.unknown(contig, first[part] - self.max_shift, size) > 0
        return found

    def _put(self, array: np.ndarray) -> Tensor:
        return to_device(array, self.device)


class DeviceBatches:
    """The batches of `danq.datasets.Batches`, gathered on a device as tensors.

    The batches are equal to those of `Batches`, bit for bit. Per epoch, only the order, strands
    and shifts of the windows are copied to the device, at most 17 bytes per window.

    Parameters
    ----------
    batches
        Windows and augmentation; it makes no batches itself.
    device
        Where the data is stored and the batches are gathered.
    windows
        The dataset on the device, if it is there already, to share between splits.

    Raises
    ------
    InputError
        As `DeviceWindows`; and when ``windows`` holds another dataset or was made for a smaller
        shift.
    """

    def __init__(
        self,
        batches: Batches,
        device: torch.device | str = "cpu",
        windows: DeviceWindows | None = None,
    ) -> None:
        if windows is None:
            windows = DeviceWindows(batches.dataset, device, max_shift=batches.max_shift)
        if windows.dataset is not batches.dataset or windows.max_shift < batches.max_shift:
            raise InputError(
                f"the windows on the device belong to another dataset, or allow shifts of "
                f"{windows.max_shift} bases where {batches.max_shift} are needed"
            )
        self._batches, self.windows = batches, windows

    def __len__(self) -> int:
        """Number of batches per epoch."""
        return len(self._batches)

    def epoch(self, epoch: int, start_batch: int = 0) -> Generator[tuple[Tensor, ...], None, None]:
        """Yield the batches of an epoch; the same seed and epoch give the same batches.

        Parameters
        ----------
        epoch
            Index of the epoch, from 0.
        start_batch
            Index of the first batch, to continue an interrupted epoch.

        Yields
        ------
        codes
            ``(B, L)`` uint8 on the device.
        labels
            ``(B, K)`` uint8, 0 or 1, on the device; float32 with amounts.
        weights
            ``(B,)`` float32 on the device, only for a dataset with weights.

        Raises
        ------
        InputError
            When an index is below 0.
        """
        if epoch < 0 or start_batch < 0:
            raise InputError(f"epoch {epoch}, batch {start_batch}: the minimum is 0")
        return self._gather(epoch, start_batch)

    def _gather(self, epoch: int, start_batch: int) -> Generator[tuple[Tensor, ...], None, None]:
        plan, windows, size = self._batches.plan(epoch), self.windows, self._batches.batch_size
        order = windows._put(plan.order)
        reverse = None if plan.reverse is None else windows._put(plan.reverse)
        shift = None if plan.shift is None else windows._put(plan.shift)
        unknown = windows._has_unknown[plan.order]
        for number in range(start_batch, len(self)):
            part = slice(number * size, (number + 1) * size)
            flips = None if reverse is None else reverse[part]
            codes = windows._codes(
                order[part],
                flips,
                None if shift is None else shift[part],
                np.flatnonzero(unknown[part]),
            )
            yield codes, *windows._targets(order[part], flips)


def _free_memory(device: torch.device) -> int | None:
    """Free bytes of a CUDA device, None for any other."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None
