"""The bins that tile a genome, and the rules that assign them to splits or drop them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from danq.datasets.dataset_format import SPLITS
from danq.datasets.splits import HeldOutRegion
from danq.errors import InputError
from danq.genome.packed_genome import PackedGenome
from danq.typing import IntRow

RULES = (
    "off stride",
    "excluded",
    "edge",
    "unknown bases",
    "near a held-out split",
    "negative",
    "sequence of a held-out window",
)
"""Reasons for which a bin is dropped, in the order in which they are checked."""

OFF_STRIDE, EXCLUDED, EDGE, UNKNOWN, NEAR, NEGATIVE, LEAK = range(
    len(SPLITS), len(SPLITS) + len(RULES)
)

UNSET = 255
BLOCK = 1 << 18


@dataclass(frozen=True)
class Geometry:
    """Sizes of windows and bins, in bases.

    Parameters
    ----------
    window
        Bases of a window, centred on its bin.
    bin
        Bases that the labels refer to.
    stride
        Bases from one training bin to the next; None means ``bin``. It must divide the bin
        (bins then overlap) or be a multiple of it (there are gaps between bins). Held-out bins
        are always adjacent, so that each base counts once in an evaluation.

    Raises
    ------
    InputError
        When a size is below 1, the window is smaller than the bin, or the stride neither
        divides the bin nor is a multiple of it.
    """

    window: int
    bin: int
    stride: int | None = None

    def __post_init__(self) -> None:
        for name, value in (("window", self.window), ("bin", self.bin), ("stride", self.spacing)):
            if value < 1:
                raise InputError(f"a {name} of {value} bases is below 1")
        if self.window < self.bin:
            raise InputError(
                f"a window of {self.window} bases is smaller than the bin of {self.bin}",
                remedy="Make the window at least as large as the bin",
            )
        if self.bin % self.spacing and self.spacing % self.bin:
            raise InputError(
                f"a stride of {self.spacing} bases neither divides the bin of {self.bin} "
                "nor is a multiple of it",
                remedy=f"Use {self.bin}, a divisor of it, or a multiple",
            )

    @property
    def spacing(self) -> int:
        """Bases from one training bin to the next."""
        return self.bin if self.stride is None else self.stride

    @property
    def step(self) -> int:
        """Bases from one bin of the grid to the next."""
        return min(self.spacing, self.bin)

    @property
    def before(self) -> int:
        """Bases of a window before its bin."""
        return self.window // 2 - self.bin // 2


@dataclass(frozen=True, eq=False)
class Grid:
    """Whole bins that tile each contig from its first base.

    Attributes
    ----------
    contigs
        Length of each contig by name, in the genome's order.
    geometry
        Sizes of windows and bins.
    fate
        ``(n,)`` uint8 for every bin, contig by contig: the number of its split, the number of
        the rule that dropped it, or ``UNSET``.
    """

    contigs: Mapping[str, int]
    geometry: Geometry
    fate: np.ndarray

    @classmethod
    def over(cls, contigs: Mapping[str, int], geometry: Geometry) -> Grid:
        """Make a grid whose bins are all ``UNSET``.

        Raises
        ------
        InputError
            When there are 2^32 bins or more.
        """
        sizes = [bins_of(length, geometry) for length in contigs.values()]
        if sum(sizes) >= 1 << 32:
            raise InputError(
                f"{sum(sizes):,} bins are more than {(1 << 32) - 1:,}",
                remedy="Use a larger bin or stride",
            )
        return cls(contigs, geometry, np.full(sum(sizes), UNSET, dtype=np.uint8))

    @cached_property
    def first(self) -> dict[str, int]:
        """Number of each contig's first bin."""
        sizes = [bins_of(length, self.geometry) for length in self.contigs.values()]
        ends = np.cumsum([0, *sizes]).tolist()
        return dict(zip(self.contigs, ends[:-1], strict=True))

    def size(self, contig: str) -> int:
        """Number of bins of a contig."""
        return bins_of(self.contigs[contig], self.geometry)

    def bins(self, contig: str) -> slice:
        """Slice of a contig's bins in ``fate``."""
        first = self.first[contig]
        return slice(first, first + self.size(contig))

    def positions(self, bins: np.ndarray) -> tuple[np.ndarray, IntRow]:
        """Contig number (uint32) and 0-based start (int64) of bins by their index."""
        firsts = np.array(list(self.first.values()), dtype=np.int64)
        # Contigs without bins share their first bin with the next contig that has some.
        contig = np.searchsorted(firsts, bins, side="right") - 1
        return contig.astype(np.uint32), (bins - firsts[contig]) * self.geometry.step

    def counts(self) -> dict[str, int]:
        """Number of bins dropped by each rule."""
        totals = np.bincount(self.fate, minlength=UNSET + 1)
        return {rule: int(totals[len(SPLITS) + i]) for i, rule in enumerate(RULES)}


def bins_of(length: int, geometry: Geometry) -> int:
    """Number of whole bins on a contig of a given length."""
    return max(0, (length - geometry.bin) // geometry.step + 1)


def assign_splits(grid: Grid, regions: Sequence[HeldOutRegion]) -> None:
    """Assign every bin that was not dropped to a split.

    A bin completely inside a held-out region belongs to that split, any other bin to training.
    Windows of two splits never share a base: training windows that overlap the windows of a
    held-out region are dropped, and so are validation windows that overlap those of a test region.
    """
    geometry = grid.geometry
    for contig in grid.contigs:
        fate = grid.fate[grid.bins(contig)]
        split = np.zeros(fate.size, dtype=np.uint8)
        here = [region for region in regions if region.contig == contig]
        for region in here:
            low = -(-region.start // geometry.step)
            high = (region.end - geometry.bin) // geometry.step + 1
            split[low : max(low, high)] = SPLITS.index(region.split)
        near = np.zeros(fate.size, dtype=bool)
        for region in here:
            span = _touching(grid, region)
            near[span] |= split[span] < SPLITS.index(region.split)
        start = np.arange(fate.size) * geometry.step
        off = start % np.where(split > 0, geometry.bin, geometry.spacing) > 0
        free = fate == UNSET
        fate[free] = split[free]
        fate[free & near] = NEAR
        fate[off] = OFF_STRIDE


def _touching(grid: Grid, region: HeldOutRegion) -> slice:
    """Bins whose window shares a base with a window of a bin inside a region."""
    geometry = grid.geometry
    after = geometry.window - geometry.before - geometry.bin
    first_base = region.start - geometry.before
    end_base = region.end + after
    # A window covers [start - before, start - before + window).
    low = (first_base - geometry.window + geometry.before) // geometry.step + 1
    high = -(-(end_base + geometry.before) // geometry.step)
    return slice(max(0, low), max(0, high))


def drop_overlapping(grid: Grid, contig: str, start: IntRow, end: IntRow) -> None:
    """Drop bins that share a base with one of the regions, 0-based half-open."""
    geometry = grid.geometry
    size = grid.size(contig)
    low = np.clip((start - geometry.bin) // geometry.step + 1, 0, size)
    high = np.clip(-(-end // geometry.step), low, size)
    depth = np.zeros(size + 1, dtype=np.int64)
    np.add.at(depth, low, 1)
    np.add.at(depth, high, -1)
    fate = grid.fate[grid.bins(contig)]
    fate[(np.cumsum(depth[:-1]) > 0) & (fate == UNSET)] = EXCLUDED


def drop_poor_windows(grid: Grid, genome: PackedGenome, edge: str, max_n: float) -> None:
    """Drop bins whose window extends past an end of its contig or has too many N.

    Parameters
    ----------
    grid
        Bins of the genome's contigs.
    genome
        The packed genome.
    edge
        "drop" drops windows that extend past an end of their contig; "pad" keeps them.
    max_n
        Largest fraction of a window that may be N; bases outside the contig count as N.
    """
    geometry = grid.geometry
    for contig, low, high in _blocks(grid):
        fate = grid.fate[grid.bins(contig)][low:high]
        start = np.arange(low, high) * geometry.step - geometry.before
        if edge == "drop":
            over = (start < 0) | (start + geometry.window > grid.contigs[contig])
            fate[over & (fate == UNSET)] = EDGE
        number = np.full(start.size, genome.numbers[contig])
        unknown = genome.unknown(number, start, geometry.window)
        fate[(unknown > max_n * geometry.window) & (fate == UNSET)] = UNKNOWN


def _blocks(grid: Grid) -> Iterable[tuple[str, int, int]]:
    for contig in grid.contigs:
        size = grid.size(contig)
        for low in range(0, size, BLOCK):
            yield contig, low, min(size, low + BLOCK)
