"""Check the intervals of BED files: against the lengths of contigs, and for signals."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from danq.errors import InputError
from danq.files.text_tables import read_text_bytes
from danq.genome.bed import interval_fields

log = logging.getLogger("danq")

MOST_BEYOND = 1000
"""Largest number of bases that a clipped interval ends beyond its contig. Peak callers extend
peaks by less; intervals farther out are of another assembly."""

ABUTTING_SHARE = 0.1


def check_bounds(
    bed: pl.DataFrame, lengths: Mapping[str, int], path: str | Path, *, most_beyond: int = 0
) -> None:
    """Refuse intervals that end beyond their contig.

    Parameters
    ----------
    bed
        Table of :func:`read_bed`, whole or filtered, 0-based half-open.
    lengths
        Length in bases of each contig, by its name in ``bed``. Intervals on other contigs are
        not checked.
    path
        File that ``bed`` came from, for the error.
    most_beyond
        Number of bases that an interval which starts inside its contig may end beyond it.

    Raises
    ------
    InputError
        At the first such interval, with its line in the file.
    """
    limits = pl.DataFrame(
        {"chrom": list(lengths), "length": list(lengths.values())},
        schema={"chrom": pl.String, "length": pl.Int64},
    )
    allowed = pl.when(pl.col("start") < pl.col("length")).then(most_beyond).otherwise(0)
    beyond = (
        bed.lazy()
        .select("chrom", "start", "end")
        .join(limits.lazy(), on="chrom", how="left", maintain_order="left")
        .filter(pl.col("end") > pl.col("length") + allowed)
        .head(1)
        .collect()
    )
    if beyond.height == 0:
        return
    chrom, start, end, length = beyond.row(0)
    raise InputError(
        f"the interval {chrom}:{start}-{end} (0-based half-open) ends beyond {chrom}, "
        f"which has {length:,} bases",
        file=path,
        line=line_of(Path(path), chrom, start, end),
        remedy="Check that the intervals and the genome are of the same assembly",
    )


def report_clipped(path: str | Path, clipped: int) -> None:
    """Log how many intervals were clipped to the end of their contig."""
    if clipped:
        log.warning(
            "%s: intervals that end up to %d bases beyond their contig, clipped to its end: %d",
            path,
            MOST_BEYOND,
            clipped,
        )


def refuse_signal(bed: pl.DataFrame, path: str | Path) -> None:
    """Refuse a bedGraph without a ``track`` line where peaks are expected.

    Four columns of which the last is a number are a signal if a number is 0, or if a tenth of the
    intervals begin where the interval before ends; peaks do neither.

    Raises
    ------
    InputError
        With the reason.
    """
    if bed.columns != ["chrom", "start", "end", "name"]:
        return
    values = bed["name"].cast(pl.Float64, strict=False)
    if bed.height == 0 or values.null_count():
        return
    zeros = int((values == 0).sum())
    abutting = int(((bed["start"] == bed["end"].shift(1)).fill_null(False)).sum())
    if zeros or abutting >= ABUTTING_SHARE * bed.height:
        touching = f"{abutting:,} intervals touch the one before"
        raise InputError(
            "looks like a bedGraph (a signal), not peaks: the fourth column has numbers, and "
            + (f"{zeros:,} of them are 0" if zeros else touching),
            file=path,
            remedy="Call peaks first, for example with 'macs3 bdgpeakcall'; if every interval is a "
            "peak, keep three columns ('cut -f1-3')",
        )


def line_of(path: Path, chrom: str, start: int, end: int) -> int | None:
    """Find the first line with this interval, or with its start and end on a renamed contig."""
    by_position = None
    for number, fields in interval_fields(read_text_bytes(path), path):
        if int(fields[2]) == end and start <= int(fields[1]) <= start + 1:
            if fields[0] == chrom:
                return number
            by_position = by_position or number
    return by_position
