"""Tables of metrics of amounts, one row per track, group of tracks or stratum of windows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from danq.errors import InputError
from danq.evaluation.amount_metrics import (
    METRICS,
    AmountBootstrap,
    AmountMetrics,
    Amounts,
    Ceiling,
    amount_metrics,
)
from danq.evaluation.metric_tables import by_group
from danq.typing import IntRow

BASELINE = ("baseline_pearson", "baseline_spearman", "baseline_r2")
WITHOUT_LEAKED = ("pearson_without_leaked", "spearman_without_leaked", "r2_without_leaked")
COLUMNS = (
    "track",
    "group",
    "windows",
    *(f"{metric}{end}" for metric in METRICS for end in ("", "_low", "_high")),
    *BASELINE,
    *WITHOUT_LEAKED,
    "replicates_pearson",
    "ceiling_pearson",
)


def amount_table(
    tracks: Sequence[str],
    groups: Sequence[str],
    metrics: AmountMetrics,
    *,
    bootstrap: AmountBootstrap | None = None,
    baseline: AmountMetrics | None = None,
    without_leaked: AmountMetrics | None = None,
    ceiling: Ceiling | None = None,
) -> pl.DataFrame:
    """Table with one row per track, in the given order.

    Parameters
    ----------
    tracks, groups
        Name and group of each track.
    metrics
        Metrics of the model.
    bootstrap
        Replicates for the columns ``*_low`` and ``*_high``, which are null without it.
    baseline
        Metrics of the baseline on the same windows; its columns are null without it.
    without_leaked
        Metrics of the model without the leaked windows; its columns are null without it.
    ceiling
        Agreement of replicates; its columns are null without it. ``ceiling_pearson`` is the limit
        for one replicate.

    Returns
    -------
    polars.DataFrame
        Columns `COLUMNS`. An undefined metric is null.

    Raises
    ------
    InputError
        When the arguments have different numbers of tracks.
    """
    others = [len(one[0]) for one in (baseline, without_leaked, ceiling) if one is not None]
    if {len(groups), len(metrics.pearson), *others} != {len(tracks)}:
        raise InputError(
            f"{len(tracks)} track names, {len(groups)} groups and metrics of "
            f"{len(metrics.pearson)} tracks do not match"
        )
    empty = np.full(len(tracks), np.nan)
    columns: dict[str, object] = {
        "track": list(tracks),
        "group": list(groups),
        "windows": metrics.windows,
    }
    for metric in METRICS:
        values = getattr(metrics, metric)
        low, high = (empty, empty) if bootstrap is None else bootstrap.per_track(metric)
        columns[metric] = values
        columns[f"{metric}_low"] = np.where(np.isnan(values), np.nan, low)
        columns[f"{metric}_high"] = np.where(np.isnan(values), np.nan, high)
    for name in BASELINE:
        metric = name.removeprefix("baseline_")
        columns[name] = empty if baseline is None else getattr(baseline, metric)
    for name in WITHOUT_LEAKED:
        metric = name.removesuffix("_without_leaked")
        columns[name] = empty if without_leaked is None else getattr(without_leaked, metric)
    columns["replicates_pearson"] = empty if ceiling is None else ceiling.pearson
    columns["ceiling_pearson"] = empty if ceiling is None else ceiling.single
    table = pl.DataFrame(columns, schema_overrides={"track": pl.String, "group": pl.String})
    return table.with_columns(pl.selectors.float().fill_nan(None))


def amount_group_table(
    table: pl.DataFrame, bootstrap: AmountBootstrap | None = None
) -> pl.DataFrame:
    """Means and medians over all tracks, then over the tracks of each group.

    With fewer than two groups there is only the row of all tracks. A track without a metric does
    not count in its mean and median.

    Parameters
    ----------
    table
        Table of `amount_table`.
    bootstrap
        Replicates for the intervals of the means, which are null without it.

    Returns
    -------
    polars.DataFrame
        ``group`` (``"all"`` first), ``tracks``; for each of Pearson's and Spearman's correlation,
        R2 and the squared error ``_mean``, ``_mean_low``, ``_mean_high`` and ``_median``; the mean
        and median of the baseline's and of those without leaked windows; and ``below_baseline``:
        the number of tracks whose Pearson correlation is below the baseline's, null without one.
    """
    rows = [_row(*part, bootstrap) for part in by_group(table)]
    floats = {name: pl.Float64 for name in rows[0] if name not in ("group", "tracks")}
    found = pl.DataFrame(rows, schema_overrides={**floats, "below_baseline": pl.Int64})
    return found.with_columns(pl.selectors.float().fill_nan(None))


def stratum_table(
    tracks: Sequence[str], predicted: Amounts, measured: Amounts, strata: Sequence[str]
) -> pl.DataFrame:
    """Metrics of each track within each stratum of the windows.

    Parameters
    ----------
    tracks
        Name of each track.
    predicted, measured
        As `danq.evaluation.amount_metrics.amount_metrics` takes them.
    strata
        ``(N,)`` stratum of each window, such as the kind of a designed sequence.

    Returns
    -------
    polars.DataFrame
        ``stratum``, ``track``, ``windows`` and the metrics, by stratum in alphabetical order.

    Raises
    ------
    InputError
        When there is not one stratum for each window; as `amount_metrics`.
    """
    if len(strata) != len(measured):
        raise InputError(f"{len(strata):,} strata for {len(measured):,} windows")
    labels = np.asarray(strata, dtype=str)
    parts = []
    for stratum in np.unique(labels):
        rows = labels == stratum
        metrics = amount_metrics(predicted[rows], measured[rows], tracks)
        columns = {metric: getattr(metrics, metric) for metric in METRICS}
        parts.append(
            pl.DataFrame({"track": list(tracks), "windows": metrics.windows, **columns}).select(
                pl.lit(str(stratum)).alias("stratum"), pl.all()
            )
        )
    schema = {"stratum": pl.String, "track": pl.String, "windows": pl.Int64}
    table = pl.concat(parts) if parts else pl.DataFrame(schema=schema)
    return table.with_columns(pl.selectors.float().fill_nan(None))


def _row(
    name: str, part: pl.DataFrame, tracks: IntRow, bootstrap: AmountBootstrap | None
) -> dict[str, object]:
    row: dict[str, object] = {"group": name, "tracks": part.height}
    for metric in METRICS:
        row[f"{metric}_mean"] = part[metric].mean()
        low = high = None
        if bootstrap is not None:
            known = tracks[part[metric].is_not_null().to_numpy()]
            low, high = bootstrap.macro(metric, known)
        row[f"{metric}_mean_low"], row[f"{metric}_mean_high"] = low, high
        row[f"{metric}_median"] = part[metric].median()
    for metric in (*BASELINE, *WITHOUT_LEAKED):
        row[f"{metric}_mean"], row[f"{metric}_median"] = part[metric].mean(), part[metric].median()
    compared = part.drop_nulls(["pearson", "baseline_pearson"])
    below = int((compared["pearson"] < compared["baseline_pearson"]).sum())
    row["below_baseline"] = below if compared.height else None
    return row
