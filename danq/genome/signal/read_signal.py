"""Read the signal of a file as one value per bin of a genome."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64

from danq.errors import InputError, few
from danq.files.open_input import check_file, open_raw
from danq.files.recognise import HEAD
from danq.files.text_tables import first_line
from danq.genome.contig_names import REMEDY
from danq.genome.signal.bedgraph import VALUE_COLUMN, read_bedgraph
from danq.genome.signal.bigwig import BigWig, is_bigwig, open_bigwig
from danq.genome.signal.bin_sums import STATISTICS, BinSums, Gaps, Statistic
from danq.genome.signal.segments import Segments, SignalContigs
from danq.genome.signal.wiggle import is_wiggle, read_wiggle

MANY_GAPS = 0.01
"""Fraction of bases without a value above which gaps need a decision."""

log = logging.getLogger("danq")


class Bins(NamedTuple):
    """Bins of a contig, 0-based half-open, in any order; they may overlap."""

    start: Int64[np.ndarray, "N"]
    end: Int64[np.ndarray, "N"]

    @classmethod
    def of(cls, start: np.ndarray, size: int, parts: int = 1) -> Bins:
        """Bins of one size, each divided into equal parts, one after another.

        Raises
        ------
        InputError
            When the size is not a multiple of the parts.
        """
        if parts < 1 or size % parts:
            raise InputError(
                f"a bin of {size:,} bases cannot be divided into {parts:,} equal steps",
                remedy="Use a number of bases per step that divides the bin",
            )
        step = size // parts
        first = (np.asarray(start, np.int64)[:, None] + step * np.arange(parts)).ravel()
        return cls(first, first + step)


@dataclass(frozen=True)
class SignalCounts:
    """What a file contains within the contigs that were read.

    Attributes
    ----------
    bases
        Bases of those contigs of the genome that the file has.
    covered
        Bases with a value.
    missing
        Bases whose value the file states to be missing (NaN).
    negative
        Bases with a negative value.
    total
        Sum of the values of all bases.
    smallest, largest
        Smallest and largest value; NaN without any.
    absent
        Contigs of the genome that the file does not have.
    unknown
        Contigs of the file that the genome does not have.
    """

    bases: int
    covered: int
    missing: int
    negative: int
    total: float
    smallest: float
    largest: float
    absent: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def gaps(self) -> float:
        """Fraction of the bases of the file's contigs that have no value."""
        return 1 - self.covered / self.bases if self.bases else 0.0


class Signal(NamedTuple):
    """Values of bins, and what their file contains.

    Attributes
    ----------
    values
        ``(N,)`` one value per bin, contig after contig in the order in which they were given. NaN
        is a masked bin: its contig is absent from the file, or it has no value and gaps are masked.
    counts
        What the file contains.
    """

    values: Float32[np.ndarray, "N"]
    counts: SignalCounts


def read_signal(
    path: str | Path,
    genome: Mapping[str, int],
    bins: Mapping[str, Bins],
    *,
    statistic: Statistic = "mean",
    gaps: Gaps | None = None,
    column: int = VALUE_COLUMN,
    chrom_map: Mapping[str, str] | None = None,
) -> Signal:
    """Read one value per bin from a bigWig, bedGraph, wiggle or BED file.

    The content decides the format. The file is read once, contig after contig.

    Parameters
    ----------
    path
        The file; text may be gzip or bgzip.
    genome
        Lengths of all contigs of the genome by name.
    bins
        Bins of the contigs that are needed.
    statistic, gaps
        As in `danq.genome.signal.bin_sums.BinSums.values`. Bins of contigs that the file does not
        have are NaN in either case. ``gaps`` None masks gaps if they are at most `MANY_GAPS` of the
        bases.
    column
        Column of the value in a BED file, counted from 1.
    chrom_map
        Names of the file's contigs to names of the genome.

    Raises
    ------
    InputError
        When ``gaps`` is None and there are many, the file has no contig of the genome, a contig of
        a bigWig has another length than the genome's, a value is infinite, the statistic does not
        exist, or the file cannot be read; see
        `danq.genome.signal.bigwig.BigWig`, `danq.genome.signal.bedgraph.read_bedgraph` and
        `danq.genome.signal.wiggle.read_wiggle`.
    """
    if statistic not in STATISTICS:
        BinSums(np.empty(0), np.empty(0)).values(statistic)
    path = check_file(path)
    treated: Gaps = gaps or "mask"
    contigs = SignalContigs(genome, path, chrom_map)
    tally = _Tally()
    found: dict[str, np.ndarray] = {}
    sums: BinSums | None = None
    current: str | None = None
    with _segments(path, contigs, column) as segments:
        for contig, start, end, value in segments:
            if contig != current:
                if sums is not None and current is not None:
                    found[current] = sums.values(statistic, treated).astype(np.float32)
                sums = BinSums(*bins[contig]) if contig in bins else None
                current = contig
            tally.add(start, end, value)
            if sums is not None:
                sums.add(start, end, value)
    if sums is not None and current is not None:
        found[current] = sums.values(statistic, treated).astype(np.float32)
    contigs.report()
    values = [_of_contig(name, bins[name], found, contigs, statistic, treated) for name in bins]
    counts = tally.counts(contigs)
    if gaps is None and counts.gaps > MANY_GAPS and statistic != "coverage":
        raise InputError(
            f"{counts.gaps:.1%} of the bases of its contigs have no value",
            file=path,
            remedy="State what such gaps mean (gaps): 'zero' if nothing was measured there because "
            "there is no signal, as in counts of reads; 'mask' if the value is unknown",
        )
    _report_absent(path, counts, bins)
    return Signal(np.concatenate(values) if values else np.empty(0, np.float32), counts)


def check_not_negative(path: str | Path, counts: SignalCounts, purpose: str) -> None:
    """Check that a signal has no negative value.

    Parameters
    ----------
    path
        Its file, for errors.
    counts
        What the file contains.
    purpose
        What needs values of 0 or more, such as "the Poisson loss".

    Raises
    ------
    InputError
        When it has one.
    """
    if counts.negative:
        raise InputError(
            f"{counts.negative:,} of {counts.covered:,} bases have negative values, down to "
            f"{counts.smallest:g}; {purpose} needs values of 0 or more",
            file=path,
            remedy="Use another loss, or a signal without negative values",
        )


class _Tally:
    """Counts of all segments."""

    def __init__(self) -> None:
        self.covered = self.missing = self.negative = 0
        self.total, self.smallest, self.largest = 0.0, np.nan, np.nan

    def add(self, start: np.ndarray, end: np.ndarray, value: np.ndarray) -> None:
        length = end - start
        known = ~np.isnan(value)
        if not known.all():
            self.missing += int(length[~known].sum())
            length, value = length[known], value[known]
        if not value.size:
            return
        self.covered += int(length.sum())
        low, high = float(value.min()), float(value.max())
        if low < 0:
            self.negative += int(length[value < 0].sum())
        self.total += float(length @ value)
        self.smallest = float(np.fmin(self.smallest, low))
        self.largest = float(np.fmax(self.largest, high))

    def counts(self, contigs: SignalContigs) -> SignalCounts:
        present = {contig for contig in contigs.found.values() if contig is not None}
        return SignalCounts(
            bases=sum(contigs.genome[contig] for contig in present),
            covered=self.covered,
            missing=self.missing,
            negative=self.negative,
            total=self.total,
            smallest=self.smallest,
            largest=self.largest,
            absent=tuple(name for name in contigs.genome if name not in present),
            unknown=contigs.unknown,
        )


def _of_contig(
    name: str,
    bins: Bins,
    found: Mapping[str, np.ndarray],
    contigs: SignalContigs,
    statistic: Statistic,
    gaps: Gaps,
) -> np.ndarray:
    if name in found:
        return found[name]
    if name in contigs.found.values():  # a contig without any segment
        return BinSums(*bins).values(statistic, gaps).astype(np.float32)
    return np.full(len(bins.start), np.nan, np.float32)


def _report_absent(path: Path, counts: SignalCounts, bins: Mapping[str, Bins]) -> None:
    absent = [name for name in counts.absent if name in bins and len(bins[name].start)]
    if absent:
        total = sum(len(bins[name].start) for name in absent)
        log.warning(
            "%s: has no data of %d of %d contigs; their %s bins are masked: %s",
            path,
            len(absent),
            len(bins),
            f"{total:,}",
            few(absent),
        )


@contextmanager
def _segments(path: Path, contigs: SignalContigs, column: int) -> Iterator[Iterator[Segments]]:
    with open_raw(path) as handle:
        head = handle.read(HEAD)
    if is_bigwig(head):
        with open_bigwig(path) as file:
            yield _of_bigwig(file, contigs)
        return
    yield (
        read_wiggle(path, contigs) if _has_sections(path) else read_bedgraph(path, contigs, column)
    )


def _has_sections(path: Path) -> bool:
    """Whether the first line that is neither blank, a comment nor a header begins a section."""
    line = first_line(path, ("#", "track", "browser"))
    return line is not None and is_wiggle(line)


def _of_bigwig(file: BigWig, contigs: SignalContigs) -> Iterator[Segments]:
    matched = {name: contigs.enter(name) for name in file.contigs}
    contigs.report()
    for name, contig in matched.items():
        theirs, ours = file.contigs[name], contigs.genome.get(contig or "", 0)
        if contig is not None and theirs != ours:
            raise InputError(
                f"'{name}' has {theirs:,} bases, but {contig} of the genome has {ours:,}",
                file=file.path,
                remedy=REMEDY,
            )
    for name, contig in matched.items():
        if contig is not None:
            for columns in file.segments(name):
                yield contigs.check(Segments(contig, *columns))
