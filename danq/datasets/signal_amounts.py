"""Read the signals of several tracks as amounts of bins."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float32

from danq.amounts import AmountUnit, library_scale
from danq.datasets.track_sheet import Track
from danq.errors import InputError
from danq.genome.signal import Bins, Signal, SignalCounts, check_not_negative, read_signal
from danq.genome.signal.bedgraph import VALUE_COLUMN
from danq.genome.signal.bin_sums import Gaps, Statistic
from danq.progress import counted
from danq.typing import IntRow

log = logging.getLogger("danq")


@dataclass(frozen=True)
class SignalOptions:
    """How signals become amounts of bins.

    Attributes
    ----------
    statistic, gaps, column
        As in `danq.genome.signal.read_signal`.
    step
        Bases of a step of a profile; None for one value per bin.
    transform
        As in `danq.amounts.AmountUnit`.
    library
        Scale each track so that the values of all its bases add up to
        `danq.amounts.LIBRARY`.
    unit
        Unit of the measured amounts; empty for the statistic and the bases, such as "mean of
        200 bp".
    chrom_map
        Names of the files' contigs to names of the genome.
    """

    statistic: Statistic = "mean"
    gaps: Gaps | None = None
    step: int | None = None
    transform: Literal["none", "log1p", "asinh"] = "none"
    library: bool = False
    unit: str = ""
    column: int = VALUE_COLUMN
    chrom_map: Mapping[str, str] = field(default_factory=dict)

    def steps(self, size: int) -> int:
        """Number of values of a bin of ``size`` bases: the steps of a profile, or 1.

        Raises
        ------
        InputError
            When the steps do not divide the bin, or a profile is to be transformed.
        """
        if self.step is None:
            return 1
        if self.transform != "none":
            raise InputError(
                f"a profile cannot be transformed by {self.transform}",
                remedy="Its loss needs the values themselves; leave out the transform",
            )
        if self.step < 1 or size % self.step:
            raise InputError(
                f"steps of {self.step:,} bases do not divide a bin of {size:,} bases",
                remedy="Use a number of bases per step that divides the bin",
            )
        return size // self.step


class SignalAmounts(NamedTuple):
    """Amounts of the bins of all tracks.

    Attributes
    ----------
    values
        ``(N, K)``, or ``(N, K, S)`` for profiles: in the units, NaN where masked.
    units
        Unit of each track.
    counts
        What the file of each track contains.
    """

    values: Float32[np.ndarray, "N K ..."]
    units: tuple[AmountUnit, ...]
    counts: tuple[SignalCounts, ...]


def read_signals(
    tracks: Sequence[Track],
    genome: Mapping[str, int],
    starts: Mapping[str, IntRow],
    size: int,
    options: SignalOptions | None = None,
    *,
    strands: Sequence[int] = (),
) -> SignalAmounts:
    """Read the amounts of the bins of all tracks, one file after another.

    Parameters
    ----------
    tracks
        Name and signal file of each track.
    genome
        Lengths of all contigs of the genome by name.
    starts
        0-based starts of the bins of each contig.
    size
        Bases of a bin.
    options
        How signals become amounts.
    strands
        Index of the track of the other strand of each track, see
        `danq.datasets.track_relations.strand_partners`; empty if no track has one. Values of a
        strand that are all 0 or negative are read as positive, with a notice.

    Raises
    ------
    InputError
        As `danq.genome.signal.read_signal`, `danq.genome.signal.Bins.of` and
        `danq.amounts.AmountUnit.apply`; when a profile is to be transformed or has negative values,
        or no bin of a track has a value.
    """
    options = options or SignalOptions()
    steps = options.steps(size)
    bins = {name: Bins.of(start, size, steps) for name, start in starts.items()}
    rows = sum(len(start) for start in starts.values())
    values = np.empty((rows, len(tracks), steps), np.float32)
    units, counts = [], []
    for number, track in enumerate(counted(tracks, "reading signals", "tracks")):
        signal = read_signal(
            track.path,
            genome,
            bins,
            statistic=options.statistic,
            gaps=options.gaps,
            column=options.column,
            chrom_map=options.chrom_map,
        )
        if strands and strands[number] != number:
            signal = _unsigned(track, signal, options)
        if options.step is not None:
            check_not_negative(track.path, signal.counts, "a profile")
        applied, unit = _in_unit(track, signal, options, size // steps)
        values[:, number] = applied.reshape(rows, steps)
        units.append(unit)
        counts.append(signal.counts)
        _report(track, values[:, number], signal.counts)
    shaped = values if options.step is not None else values[:, :, 0]
    return SignalAmounts(shaped, tuple(units), tuple(counts))


def _unsigned(track: Track, signal: Signal, options: SignalOptions) -> Signal:
    """Positive values of a strand whose file has them as negative ones."""
    counts = signal.counts
    if not (counts.smallest < 0 and counts.largest <= 0) or options.statistic == "coverage":
        return signal
    if options.statistic == "max":
        raise InputError(
            "all values of this strand are negative, so their maximum is the weakest signal",
            file=track.path,
            record=track.name,
            remedy="Use the mean or the sum, or a file with positive values",
        )
    log.info("%s: all values are 0 or negative; they are read as positive", track.path)
    positive = replace(
        counts,
        negative=0,
        total=-counts.total,
        smallest=-counts.largest,
        largest=-counts.smallest,
    )
    return Signal(-signal.values, positive)


def _in_unit(
    track: Track, signal: Signal, options: SignalOptions, size: int
) -> tuple[np.ndarray, AmountUnit]:
    """Values of a track in its unit."""
    try:
        scale = library_scale(signal.counts.total) if options.library else 1.0
        name = options.unit or f"{options.statistic} of {size} bp"
        unit = AmountUnit(unit=name, transform=options.transform, scale=scale)
        return unit.apply(signal.values), unit
    except InputError as error:
        raise InputError(error.problem, file=track.path, remedy=error.remedy) from error


def _report(track: Track, values: np.ndarray, counts: SignalCounts) -> None:
    known = values[~np.isnan(values)]
    if not known.size:
        raise InputError(
            "no bin has a value",
            file=track.path,
            record=track.name,
            remedy="Check that it is a signal of this genome, or leave the track out",
        )
    if known.min() == known.max():
        log.warning("%s: all bins have the value %g", track.path, known[0])
    log.info(
        "%s: %.2f %% of the bases of its contigs have no value; %s of %s values are masked",
        track.path,
        100 * counts.gaps,
        f"{values.size - known.size:,}",
        f"{values.size:,}",
    )
    if counts.missing or counts.negative:
        log.info(
            "%s: bases with a missing value: %s, with a negative value: %s",
            track.path,
            f"{counts.missing:,}",
            f"{counts.negative:,}",
        )
