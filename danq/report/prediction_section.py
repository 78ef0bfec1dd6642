"""The section on predictions: values by track, highest rows, and a browser strip of a region."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from danq.errors import InputError
from danq.genome.regions import Region, parse_regions
from danq.report.content import Absent, Gene, Part, Plot, Section, Strip, StripRow, Table
from danq.report.predictions import Predictions, read_predictions

STRIP_TRACKS = 8
"""Predicted tracks of a strip: those with the highest values in the region."""

STRIP_BASES = 20_000
"""Bases of a region that danq chooses, around the highest prediction."""

POINTS = 800
"""Intervals of a row; of more, the largest value of neighbouring ones is drawn."""

TOP = 50


@dataclass(frozen=True)
class StripOptions:
    """What a strip shows beside the predictions.

    Attributes
    ----------
    region
        Region as text; None for that around the highest prediction.
    observed
        Rows of observed tracks of a region: contig, start and end to rows.
    genes
        Genes by contig; None if no annotation was given.
    """

    region: str | None = None
    observed: Sequence[ObservedRows] = ()
    genes: Mapping[str, Sequence[Gene]] | None = None


class ObservedRows:
    """Observed tracks, of a region at a time."""

    def rows(self, contig: str, start: int, end: int, tracks: Sequence[str]) -> list[StripRow]:
        """Rows of the tracks in a region, of any track if there is none of these names."""
        raise NotImplementedError


def prediction_section(path: Path, options: StripOptions | None = None) -> Section:
    """Section on an output of `danq.write_predictions`.

    Parameters
    ----------
    path
        TSV, Parquet, HDF5 or folder of bigWig files.
    options
        Region, observed tracks and genes of the browser strip.
    """
    title = f"Predictions: {path.name}"
    options = options or StripOptions()
    try:
        found = read_predictions(path)
        if not found.rows.height:
            raise InputError("has no rows", file=path, remedy="Predict again")
    except InputError as error:
        return Section(title, path, parts=(Absent("the predictions", str(error)),))
    facts = {
        "rows": f"{found.rows.height:,}",
        "tracks": f"{len(found.tracks):,}",
        "values": found.provenance.get("values", "not described"),
    }
    parts = (*_strip(found, options), _by_track(found), _top(found))
    return Section(title, path, facts, parts, found.provenance)


def _by_track(found: Predictions) -> Table:
    values = found.values
    with np.errstate(invalid="ignore"):
        columns = {
            "track": list(found.tracks),
            "mean": values.mean(axis=0, dtype=np.float64),
            "median": np.median(values, axis=0).astype(np.float64),
            "highest": values.max(axis=0).astype(np.float64),
        }
    caption = "Mean, median and highest value of each track over all rows."
    if found.are_probabilities:
        columns["above_half"] = (values > 0.5).sum(axis=0)
        caption += " Rows above 0.5 are those that the model calls positive."
    return Table(
        "Predictions by track",
        caption,
        pl.DataFrame(columns),
        {"above_half": "Rows above 0.5"},
        "mean",
    )


def _top(found: Predictions) -> Table:
    best = found.values.argmax(axis=1)
    largest = found.values[np.arange(len(best)), best]
    order = np.argsort(-np.nan_to_num(largest, nan=-np.inf), kind="stable")[:TOP]
    rows = found.rows[order]
    named = pl.format("{}:{}-{}", pl.col(rows.columns[0]), pl.col("start") + 1, "end").alias(
        "region"
    )
    table = rows.select(named).with_columns(
        pl.Series("track", [found.tracks[k] for k in best[order]], dtype=pl.String),
        pl.Series("value", largest[order]),
    )
    return Table(
        "Highest predictions",
        f"The {len(order)} rows with the highest value on any track, and that track. Positions are "
        "1-based, both ends included.",
        table,
        sorted_by="value",
        limit=TOP,
    )


def _strip(found: Predictions, options: StripOptions) -> Iterator[Part]:
    what = "the browser strip"
    if found.rows.columns[0] != "chrom":
        yield Absent(what, "the predictions are of sequences, not of a genome")
        return
    try:
        region = _region(found, options.region)
        yield _strip_plot(found, region, options)
    except InputError as error:
        yield Absent(what, str(error))


def _region(found: Predictions, text: str | None) -> Region:
    ends = found.rows.group_by("chrom", maintain_order=True).agg(pl.col("end").max())
    lengths = dict(ends.iter_rows())
    if text is not None:
        (region,) = parse_regions(text, lengths)
        return region
    largest = found.values.max(axis=1)
    row = found.rows.row(int(np.nan_to_num(largest, nan=-np.inf).argmax()), named=True)
    middle = (row["start"] + row["end"]) // 2
    start = max(0, min(middle - STRIP_BASES // 2, lengths[row["chrom"]] - STRIP_BASES))
    return Region(row["chrom"], start, min(lengths[row["chrom"]], start + STRIP_BASES))


def _strip_plot(found: Predictions, region: Region, options: StripOptions) -> Plot:
    contig, start, end = region
    inside = (
        (found.rows["chrom"] == contig) & (found.rows["end"] > start) & (found.rows["start"] < end)
    ).to_numpy()
    if not inside.any():
        raise InputError(
            f"no prediction is in {contig}:{start + 1:,}-{end:,}", remedy="Choose another region"
        )
    rows = found.rows.filter(pl.Series(inside)).with_row_index("row").sort("start")
    values = found.values[inside][rows["row"].to_numpy()]
    order = np.argsort(-np.nan_to_num(values).max(axis=0), kind="stable")[:STRIP_TRACKS]
    names = [found.tracks[k] for k in order]
    high = 1.0 if found.are_probabilities else None
    what = "predicted probability" if found.are_probabilities else "predicted"
    drawn: list[StripRow] = []
    for name, k in zip(names, order, strict=True):
        drawn.append(
            StripRow(
                name,
                what,
                *pooled(rows["start"].to_numpy(), rows["end"].to_numpy(), values[:, k]),
                high,
            )
        )
        for one in options.observed:
            drawn += one.rows(contig, start, end, [name])
    for one in options.observed:
        drawn += one.rows(contig, start, end, [])
    genes = None
    if options.genes is not None:
        genes = tuple(g for g in options.genes.get(contig, ()) if g.end > start and g.start < end)
    strip = Strip(contig, start, end, tuple(drawn), genes)
    return Plot(
        f"Browser strip of {contig}:{start + 1:,}-{end:,}",
        _caption(found, names, options, rows.height, len(drawn) > len(names)),
        strip,
        _numbers(strip),
        f"{len(names)} predicted tracks in {end - start:,} bases; the highest value is "
        f"{float(np.nan_to_num(values).max()):.3g} on {names[0]}."
        + ("" if genes is None else f" {len(genes):,} genes."),
    )


def _caption(
    found: Predictions, names: list[str], options: StripOptions, rows: int, observed: bool
) -> str:
    text = "Each row is a track; the height of a bar is the value in that interval."
    if observed:
        text += (
            " Blue rows are predicted, and orange rows observed: where both agree, the model is "
            "right."
        )
    else:
        text += " No observed tracks were given."
    if len(names) < len(found.tracks):
        text += (
            f" Of {len(found.tracks):,} tracks, the {len(names)} with the highest values are shown."
        )
    if rows > POINTS:
        text += " Each bar is the highest value of several neighbouring intervals."
    if options.genes is not None:
        text += " Below are genes; thick parts are exons, and arrows show the strand."
    else:
        text += " No annotation of genes was given."
    return text


def pooled(
    start: np.ndarray, end: np.ndarray, value: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """At most `POINTS` intervals, each with the largest value of the intervals that it replaces."""
    step = -(-len(start) // POINTS)
    if step <= 1:
        return start, end, value
    first = np.arange(0, len(start), step)
    last = np.minimum(first + step, len(start)) - 1
    with np.errstate(invalid="ignore"):
        return start[first], end[last], np.fmax.reduceat(value, first)


def _numbers(strip: Strip) -> pl.DataFrame:
    tables = [
        pl.DataFrame(
            {
                "track": [row.name] * len(row.start),
                "what": [row.what] * len(row.start),
                "chrom": [strip.contig] * len(row.start),
                "start": row.start,
                "end": row.end,
                "value": row.value.astype(np.float64),
            },
            schema_overrides={"track": pl.String, "what": pl.String, "chrom": pl.String},
        )
        for row in strip.rows
    ]
    return pl.concat(tables)
