"""Tables of metrics: one row per track, and means and medians per group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from danq.errors import InputError
from danq.evaluation.confidence_intervals import Bootstrap, Interval
from danq.evaluation.metrics import Ranking
from danq.typing import IntRow, PerTrack

ALL = "all"
WITHOUT_LEAKED = ("auroc_without_leaked", "aupr_without_leaked")
METRICS = ("auroc", "aupr", "baseline_auroc", "baseline_aupr", *WITHOUT_LEAKED)
COLUMNS = (
    "track",
    "group",
    "positives",
    "windows",
    "base_rate",
    "auroc",
    "auroc_low",
    "auroc_high",
    "aupr",
    "aupr_low",
    "aupr_high",
    "baseline_auroc",
    "baseline_aupr",
    *WITHOUT_LEAKED,
    "log_loss",
    "calibration_error",
    "calibration_slope",
    "calibration_intercept",
)


class TrackCalibration(NamedTuple):
    """Columns of the table that describe the calibration of each track."""

    log_loss: PerTrack
    error: PerTrack
    slope: PerTrack
    intercept: PerTrack


def track_table(
    tracks: Sequence[str],
    groups: Sequence[str],
    ranking: Ranking,
    windows: int,
    *,
    bootstrap: Bootstrap | None = None,
    baseline: Ranking | None = None,
    without_leaked: Ranking | None = None,
    calibration: TrackCalibration | None = None,
) -> pl.DataFrame:
    """Table with one row per track, in the given order.

    Parameters
    ----------
    tracks, groups
        Name and group of each track.
    ranking
        Metrics of the model.
    windows
        Number of evaluated windows.
    bootstrap
        Replicates for the columns ``*_low`` and ``*_high``, which are null without it.
    baseline
        Metrics of the baseline on the same windows; its columns are null without it.
    without_leaked
        Metrics of the model without the leaked windows; its columns are null without it.
    calibration
        Log loss and calibration of the model; its columns are null without it.

    Returns
    -------
    polars.DataFrame
        Columns `COLUMNS`. An undefined metric, such as the AUPR of a track without positives, is
        null.

    Raises
    ------
    InputError
        When the arguments have different numbers of tracks.
    """
    counts = {len(tracks), len(groups), len(ranking.auroc)}
    counts |= {len(other.auroc) for other in (baseline, without_leaked) if other is not None}
    if len(counts) > 1:
        raise InputError(
            f"{len(tracks)} track names, {len(groups)} groups and metrics of {len(ranking.auroc)} "
            "tracks do not match"
        )
    empty = np.full(len(tracks), np.nan)
    ends = [empty] * 4
    if bootstrap is not None:
        (auroc, aupr) = bootstrap.per_track()
        ends = [np.where(np.isnan(ranking.auroc), np.nan, end) for end in auroc]
        ends += [np.where(np.isnan(ranking.aupr), np.nan, end) for end in aupr]
    values = (
        list(tracks),
        list(groups),
        ranking.positives,
        np.full(len(tracks), windows, np.int64),
        ranking.positives / windows if windows else empty,
        ranking.auroc,
        *ends[:2],
        ranking.aupr,
        *ends[2:],
        empty if baseline is None else baseline.auroc,
        empty if baseline is None else baseline.aupr,
        empty if without_leaked is None else without_leaked.auroc,
        empty if without_leaked is None else without_leaked.aupr,
        *([empty] * 4 if calibration is None else calibration),
    )
    texts = {"track": pl.String, "group": pl.String}
    table = pl.DataFrame(dict(zip(COLUMNS, values, strict=True)), schema_overrides=texts)
    return table.with_columns(pl.selectors.float().fill_nan(None))


def group_table(table: pl.DataFrame, bootstrap: Bootstrap | None = None) -> pl.DataFrame:
    """Means and medians over all tracks, then over the tracks of each group.

    Tracks without a positive are excluded from means and medians and counted in
    ``without_positives``. With fewer than two groups there is only the row of all tracks.

    Parameters
    ----------
    table
        Table of `track_table`.
    bootstrap
        Replicates for the intervals of the means, which are null without it.

    Returns
    -------
    polars.DataFrame
        ``group`` (``"all"`` first), ``tracks`` with positives, ``without_positives``,
        ``auroc_mean``, ``auroc_mean_low``, ``auroc_mean_high``, ``auroc_median``, the same of
        ``aupr``, ``baseline_auroc_mean``, ``baseline_auroc_median``, ``baseline_aupr_mean``,
        ``baseline_aupr_median``, the same of ``auroc_without_leaked`` and ``aupr_without_leaked``,
        and ``below_baseline``: the number of tracks with an AUPR below the baseline's.
    """
    rows = [_row(*part, bootstrap) for part in by_group(table)]
    floats = {name: pl.Float64 for name in rows[0] if name.startswith((*METRICS,))}
    table = pl.DataFrame(rows, schema_overrides={**floats, "below_baseline": pl.Int64})
    return table.with_columns(pl.selectors.float().fill_nan(None))


def by_group(table: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame, IntRow]]:
    """Name, rows and their indices of all tracks, then of each group if there are several."""
    yield ALL, table, np.arange(table.height)
    names = table["group"].to_list()
    groups = sorted(set(names))
    for group in groups if len(groups) > 1 else ():
        chosen = np.array([i for i, name in enumerate(names) if name == group])
        yield group or "(no group)", table[chosen], chosen


def _row(
    name: str, part: pl.DataFrame, tracks: IntRow, bootstrap: Bootstrap | None
) -> dict[str, object]:
    known = part.filter(pl.col("positives") > 0)
    row: dict[str, object] = {
        "group": name,
        "tracks": known.height,
        "without_positives": part.height - known.height,
    }
    evaluated = tracks[part["positives"].to_numpy() > 0]
    ends: dict[str, Interval] = {}
    if bootstrap is not None and evaluated.size:
        ends = dict(zip(METRICS[:2], bootstrap.macro("mean", evaluated), strict=True))
    for metric in METRICS:
        row[f"{metric}_mean"] = known[metric].mean()
        if metric in METRICS[:2]:
            interval = ends.get(metric, (None, None))
            row[f"{metric}_mean_low"], row[f"{metric}_mean_high"] = interval
        row[f"{metric}_median"] = known[metric].median()
    compared = known.drop_nulls(["aupr", "baseline_aupr"])
    below = int((compared["aupr"] < compared["baseline_aupr"]).sum())
    row["below_baseline"] = below if compared.height else None
    return row


def without_positives(table: pl.DataFrame) -> list[str]:
    """Names of the tracks without a positive window."""
    return table.filter(pl.col("positives") == 0)["track"].to_list()


def describe_means(row: Mapping[str, Any], metric: str, title: str, *, baseline: bool) -> str:
    """Mean, its interval and median of a metric as a line of text.

    Parameters
    ----------
    row
        A row of a table of groups.
    metric, title
        Name of the metric in the columns, and in the text.
    baseline
        Whether to show the baseline's mean, too.
    """
    text = f"{title}  mean {shown(row[f'{metric}_mean'])}"
    low, high = row[f"{metric}_mean_low"], row[f"{metric}_mean_high"]
    if low is not None and high is not None:
        text += f" ({shown(low)} to {shown(high)})"
    text += f", median {shown(row[f'{metric}_median'])}"
    if baseline:
        text += f"; k-mer baseline mean {shown(row[f'baseline_{metric}_mean'])}"
    return text


def describe_leaked(row: Mapping[str, Any], names: Mapping[str, str], leaked: int) -> str:
    """Means of metrics without leaked windows as a line of text.

    Parameters
    ----------
    row
        A row of a table of groups.
    names
        Name of each metric in the text, by that in the columns.
    leaked
        Number of leaked windows.
    """
    means = (
        f"{name} mean {shown(row[f'{metric}_without_leaked_mean'])}"
        for metric, name in names.items()
    )
    return (
        f"{', '.join(means)} without {leaked:,} leaked window{'s' * (leaked != 1)}, whose "
        "sequence occurs in training windows"
    )


def shown(value: float | None) -> str:
    """A metric with four decimals, or "-" if it is undefined."""
    return "-" if value is None else f"{value:.4f}"
