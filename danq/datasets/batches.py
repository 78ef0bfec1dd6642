"""Read a dataset in batches: shuffled, augmented and prefetched."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from danq.bounded_queue import read_ahead
from danq.datasets.dataset import Dataset
from danq.errors import InputError
from danq.genome.nucleotide_codes import N
from danq.typing import BoolRow, CodeBatch, IntRow, LabelBatch

Batch = tuple[CodeBatch, LabelBatch] | tuple[np.ndarray, ...]
Strands = bool | Literal["both"]
B = TypeVar("B")


@dataclass(frozen=True)
class Plan:
    """Order and augmentation of the windows of one epoch.

    Attributes
    ----------
    order
        ``(N,)`` int64 indices of windows in the dataset. With both strands, this and the
        other arrays have ``2 N`` elements.
    reverse
        ``(N,)`` True where the window is reverse-complemented; None for no window.
    shift
        ``(N,)`` int64 bases by which each window is shifted; None for no shifts.
    """

    order: IntRow
    reverse: BoolRow | None
    shift: IntRow | None


class Batches:
    """Batches of codes and labels, or of codes and amounts.

    Parameters
    ----------
    dataset
        The labelled windows.
    indices
        ``(N,)`` indices of the windows to use, such as ``dataset.indices("train")``.
    batch_size
        Windows in a batch; the last batch of an epoch may be smaller.
    shuffle
        Use a new random order in each epoch.
    reverse_complement
        Reverse-complement each window with probability one half, drawn in each epoch. ``"both"``
        uses both strands of each window in every epoch. Windows of an oriented dataset
        (`Dataset.oriented`) are never reverse-complemented.
    max_shift
        Shift each window by a number of bases drawn from ``-max_shift`` to ``max_shift`` in
        each epoch. Labels do not change. A standalone sequence (`Dataset.standalone`) moves within
        its window: N takes the place of its bases, and bases that leave the window are cut off.
    seed
        Random seed; together with the epoch it determines order, strands and shifts.
    prefetch
        Number of batches that a separate thread prepares in advance; 0 for no thread.

    Raises
    ------
    InputError
        When there are no windows, a window index is out of range, a value is below its minimum, or
        ``max_shift`` moves standalone sequences out of their windows.
    """

    def __init__(
        self,
        dataset: Dataset,
        indices: ArrayLike,
        batch_size: int,
        *,
        shuffle: bool = False,
        reverse_complement: Strands = False,
        max_shift: int = 0,
        seed: int = 0,
        prefetch: int = 2,
    ) -> None:
        self.dataset = dataset
        self.indices = np.array(indices, dtype=np.int64).reshape(-1)
        for name, value, least in (
            ("batch size", batch_size, 1),
            ("number of windows", self.indices.size, 1),
            ("largest shift", max_shift, 0),
            ("seed", seed, 0),
            ("number of batches to prefetch", prefetch, 0),
        ):
            if value < least:
                raise InputError(f"a {name} of {value} is below {least}")
        if not 0 <= self.indices.min() <= self.indices.max() < len(dataset):
            raise InputError(f"a window index is outside 0 to {len(dataset) - 1}")
        if dataset.standalone and max_shift >= dataset.window:
            raise InputError(
                f"max_shift is {max_shift}, but the sequences have at most {dataset.window} bases",
                file=dataset.path,
                remedy="Use a smaller shift, or 0",
            )
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.reverse_complement: Strands = False if dataset.oriented else reverse_complement
        self.max_shift = max_shift
        self.seed = seed
        self.prefetch = prefetch

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        return -(-self._examples // self.batch_size)

    @property
    def _examples(self) -> int:
        return self.indices.size * (2 if self.reverse_complement == "both" else 1)

    def plan(self, epoch: int) -> Plan:
        """Draw order, strands and shifts of an epoch from the seed and the epoch only."""
        # With three streams, enabling one augmentation does not change the others.
        seeds = np.random.SeedSequence([self.seed, epoch]).spawn(3)
        order, flips, moves = (np.random.default_rng(seed) for seed in seeds)
        count, single = self._examples, self.indices.size
        example = order.permutation(count) if self.shuffle else np.arange(count)
        reverse = None
        if self.reverse_complement == "both":
            reverse = example >= single
        elif self.reverse_complement:
            reverse = flips.random(count) < 0.5
        return Plan(
            order=self.indices[example % single],
            reverse=reverse,
            shift=(
                moves.integers(-self.max_shift, self.max_shift, count, endpoint=True)
                if self.max_shift
                else None
            ),
        )

    def epoch(self, epoch: int, start_batch: int = 0) -> Generator[Batch, None, None]:
        """Yield the batches of one epoch; the same seed and epoch give the same batches.

        Parameters
        ----------
        epoch
            Number of the epoch, from 0.
        start_batch
            First batch, to resume an interrupted epoch.

        Yields
        ------
        codes : CodeBatch
            ``(B, L)`` uint8.
        labels : LabelBatch
            ``(B, K)`` uint8, 0 or 1. For a dataset with amounts `Dataset.target_values`, in
            float32, of the strand of each window.
        weights : numpy.ndarray
            ``(B,)`` float32 weights of windows, only for a dataset with weights.
        """
        if epoch < 0 or start_batch < 0:
            raise InputError(f"epoch {epoch} or batch {start_batch} is below 0")
        return made_ahead(self._make(self.plan(epoch), start_batch), self.prefetch)

    def _make(self, plan: Plan, start_batch: int) -> Generator[Batch, None, None]:
        for number in range(start_batch, len(self)):
            part = slice(number * self.batch_size, (number + 1) * self.batch_size)
            rows = plan.order[part]
            reverse = None if plan.reverse is None else plan.reverse[part]
            shift = None if plan.shift is None else plan.shift[part]
            yield self._codes(rows, reverse, shift), *self._targets(rows, reverse)

    def _codes(self, rows: IntRow, reverse: BoolRow | None, shift: IntRow | None) -> CodeBatch:
        if shift is None or not self.dataset.standalone:
            return self.dataset.codes(rows, reverse, shift)
        return moved(self.dataset.codes(rows, reverse), shift)

    def _targets(self, rows: IntRow, reverse: BoolRow | None) -> tuple[np.ndarray, ...]:
        dataset = self.dataset
        if dataset.measured is None:
            targets = dataset.labels(rows)
        else:
            targets = dataset.target_values(rows, reverse)
        return (targets,) if dataset.values.weights is None else (targets, dataset.weights(rows))


def made_ahead(batches: Generator[B, None, None], prefetch: int) -> Generator[B, None, None]:
    """Batches of which a separate thread makes up to ``prefetch`` in advance; 0 for no thread."""
    return _from_thread(batches, prefetch) if prefetch else batches


def _from_thread(batches: Generator[B, None, None], prefetch: int) -> Generator[B, None, None]:
    with read_ahead(batches, prefetch) as ready:
        yield from ready


def moved(codes: CodeBatch, shift: IntRow) -> CodeBatch:
    """Windows ``(B, L)`` that start ``shift`` bases further right, with N outside the originals."""
    rows, length = codes.shape
    most = int(np.abs(shift).max(initial=0))
    padded = np.pad(codes, ((0, 0), (most, most)), constant_values=N)
    return padded[np.arange(rows)[:, None], np.arange(length) + (most + shift)[:, None]]
