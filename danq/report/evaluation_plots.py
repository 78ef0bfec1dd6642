"""Plots of an evaluation of peaks: curves, calibration, and comparison with a baseline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import polars as pl

from danq.report.content import Absent, Axis, Chart, Part, Plot, Series

NAMED = 8
"""Tracks have a curve each if there are at most this many."""

LEAST_WINDOWS = 30
"""Windows below which an observed frequency is too uncertain to draw."""


def spoken(name: str) -> str:
    """Name of a column as a title."""
    words = {
        "aupr": "AUPR",
        "auroc": "AUROC",
        "pearson": "Pearson",
        "spearman": "Spearman",
        "r2": "R²",
        "mse": "MSE",
        "sd": "(standard deviation over models)",
        "low": "(low)",
        "high": "(high)",
        "interval": "95 % interval",
    }
    text = " ".join(words.get(word, word) for word in name.split("_"))
    return text[:1].upper() + text[1:]


def _interval(table: pl.DataFrame, metric: str) -> tuple[np.ndarray | None, np.ndarray | None]:
    names = f"{metric}_low", f"{metric}_high"
    if not set(names) <= set(table.columns) or table[names[0]].null_count() == table.height:
        return None, None
    low, high = (table[name].cast(pl.Float64).to_numpy() for name in names)
    return low, high


def aupr_and_base_rate(table: pl.DataFrame) -> Part:
    """AUPR of each track against its base rate; ``table`` is that of metrics.tsv."""
    known = table.drop_nulls(["aupr", "base_rate"])
    if not known.height:
        return Absent("the AUPR of each track", "no track has positive windows")
    low, high = _interval(known, "aupr")
    floor = 0.7 * float(known.select(pl.min_horizontal("aupr", "base_rate").min()).item() or 1e-4)
    better = int((known["aupr"] > known["base_rate"]).sum())
    return Plot(
        "AUPR and base rate of each track",
        "Each mark is a track. Marks above the dashed line are better than random prediction, "
        "whose AUPR equals the base rate. Vertical lines are 95 % confidence intervals. Both axes "
        "are logarithmic.",
        Chart(
            Axis("Base rate (fraction of positive windows)", floor, 1.0, "log"),
            Axis("AUPR", floor, 1.0, "log"),
            (
                Series(
                    "tracks",
                    known["base_rate"].to_numpy(),
                    known["aupr"].to_numpy(),
                    "points",
                    tuple(known["track"]),
                    low,
                    high,
                ),
            ),
            diagonal=True,
        ),
        known.select(
            "track", "base_rate", "aupr", *([] if low is None else ["aupr_low", "aupr_high"])
        ),
        f"{better:,} of {known.height:,} tracks have an AUPR above their base rate.",
    )


def curve_plots(curves: pl.DataFrame, table: pl.DataFrame) -> Iterator[Part]:
    """Precision-recall and ROC curves, from the tables of curves.tsv and metrics.tsv."""
    yield _curve_plot(
        curves,
        table,
        "precision",
        "aupr",
        "Precision and recall",
        ("Recall", "Precision"),
        "Each curve is a track. From left to right, the threshold on the probability falls: more "
        "positive windows are found (recall), and usually a smaller fraction of the found windows "
        "is positive (precision). A curve near the upper right corner is good. The legend has "
        "the area under each curve (AUPR).",
        False,
    )
    yield _curve_plot(
        curves,
        table,
        "true_positive_rate",
        "auroc",
        "ROC",
        ("False positive rate", "True positive rate (recall)"),
        "Each curve is a track: the fraction of positive windows found against the fraction of "
        "negative windows that are found with them. The dashed line is random prediction. A curve "
        "near the upper left corner is good. The legend has the area under each curve (AUROC). "
        "If few windows are positive, precision and recall say more.",
        True,
    )


def _curve_plot(
    curves: pl.DataFrame,
    table: pl.DataFrame,
    column: str,
    metric: str,
    title: str,
    labels: tuple[str, str],
    caption: str,
    diagonal: bool,
) -> Part:
    known = table.drop_nulls(metric).sort(metric, descending=True)
    parts = curves.drop_nulls(column).partition_by("track", as_dict=True)
    lines = {
        row["track"]: (parts[(row["track"],)], row[metric])
        for row in known.iter_rows(named=True)
        if (row["track"],) in parts
    }
    if not lines:
        return Absent(title, "no track has positive windows")
    series = []
    names = list(lines)
    if len(names) > NAMED:
        series, caption = (
            _crowd(lines, column, metric),
            (
                f"{caption} All {len(names):,} tracks are drawn faint, and the track with the "
                "highest, the middle and the lowest area stand out."
            ),
        )
        names = [names[0], names[len(names) // 2], names[-1]]
    for number, name in enumerate(names):
        line, value = lines[name]
        series.append(
            Series(
                f"{name} ({value:.3f})", line["x"].to_numpy(), line[column].to_numpy(), style=number
            )
        )
    x, y = labels
    chart = Chart(Axis(x, 0, 1), Axis(y, 0, 1), tuple(series), diagonal)
    shown = curves.filter(pl.col("track").is_in(names)).select("track", "x", column)
    best, worst = names[0], names[-1]
    summary = (
        f"Best track: {best}, {spoken(metric)} {lines[best][1]:.3f}. Worst track: {worst}, "
        f"{spoken(metric)} {lines[worst][1]:.3f}."
    )
    return Plot(title, caption, chart, shown, summary)


def _crowd(
    lines: Mapping[str, tuple[pl.DataFrame, float]], column: str, metric: str
) -> list[Series]:
    """All curves, at every third point and of at most 1,000 tracks."""
    names = list(lines)
    step = -(-len(names) // 1_000)
    tables = [lines[name][0] for name in names[::step]]
    points = max(table.height for table in tables)
    rows = [table[column].to_numpy()[::3] for table in tables if table.height == points]
    x = (
        tables[0]["x"].to_numpy()[::3]
        if tables[0].height == points
        else np.linspace(0, 1, len(rows[0]))
    )
    return [Series(f"each of {len(names):,} tracks", x, np.stack(rows), "crowd")]


def calibration_plots(table: pl.DataFrame, metrics: pl.DataFrame) -> Iterator[Part]:
    """Observed frequencies and numbers of predictions, from calibration.tsv and metrics.tsv."""
    tracks = metrics["track"].to_list()
    kept = table.filter(pl.col("windows") >= LEAST_WINDOWS)
    every = kept.filter(pl.col("track") == "all")
    if not every.height:
        yield Absent("the calibration", f"no bin has {LEAST_WINDOWS} windows")
        return
    pooled = Series("all tracks together", *_both(every), style=0)
    parts = kept.filter(pl.col("track") != "all").partition_by("track", as_dict=True)
    lines = [(name, parts[(name,)]) for name in tracks if (name,) in parts]
    if len(lines) < NAMED:
        series = [Series(name, *_both(part), style=n + 1) for n, (name, part) in enumerate(lines)]
    else:
        longest = max(part.height for _, part in lines)
        padded = [
            [np.pad(one, (0, longest - one.size), constant_values=np.nan) for one in _both(part)]
            for _, part in lines[:: -(-len(lines) // 1_000)]
        ]
        x, y = (np.stack(rows) for rows in zip(*padded, strict=True))
        series = [Series(f"each of {len(lines):,} tracks", x, y, "crowd")]
    ends = (5e-4, 0.9995)
    yield Plot(
        "Calibration",
        "Predictions are sorted into bins by their probability. Each mark is a bin: the mean "
        "predicted probability, and the fraction of its windows that are positive. On the dashed "
        "line both are equal; above it, the model predicts too low probabilities. Bins with fewer "
        f"than {LEAST_WINDOWS} windows are left out. Both axes are stretched near 0 and 1.",
        Chart(
            Axis("Predicted probability", *ends, "logit"),
            Axis("Observed frequency", *ends, "logit"),
            (*series, pooled),
            diagonal=True,
        ),
        table,
        f"Calibration of {len(tracks):,} tracks over {every.height} bins of all tracks together.",
    )
    bins = table.filter(pl.col("track") == "all").sort("low")
    edges = np.append(bins["low"].to_numpy(), bins["high"].to_numpy()[-1:])
    yield Plot(
        "Distribution of the predicted probabilities",
        "Number of predictions (windows times tracks) in each bin of the predicted probability. "
        "Most windows are negative, so most predictions should be low. The vertical axis is "
        "logarithmic.",
        Chart(
            Axis("Predicted probability", 5e-4, 0.9995, "logit"),
            Axis("Predictions (count)", 0.5, None, "log"),
            (Series("all tracks", edges, bins["windows"].cast(pl.Float64).to_numpy(), "bars"),),
        ),
        bins.select("low", "high", "windows"),
        f"{int(bins['windows'].sum()):,} predictions in {bins.height} bins.",
    )


def _both(table: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and observed frequencies."""
    return table["predicted"].to_numpy(), table["observed"].to_numpy()


def baseline_plots(table: pl.DataFrame, metrics: tuple[str, ...]) -> Iterator[Part]:
    """Metrics of the model against those of the baseline, for each metric that has one."""
    for metric in metrics:
        column = f"baseline_{metric}"
        if column not in table.columns:
            continue
        known = table.drop_nulls([metric, column])
        if not known.height:
            continue
        better = int((known[metric] > known[column]).sum())
        both = known.select(metric, column).to_numpy().astype(float)
        low = min(0.5 if metric == "auroc" else 0.0, float(both.min()))
        low = np.floor(low * 20) / 20
        yield Plot(
            f"{spoken(metric)} of the model and of the baseline",
            "Each mark is a track. Marks above the dashed line are tracks on which the model is "
            "better than a linear model of k-mers, which does not see where motifs are.",
            Chart(
                Axis(f"{spoken(metric)} of the baseline", low, 1.0),
                Axis(f"{spoken(metric)} of the model", low, 1.0),
                (Series("tracks", both[:, 1], both[:, 0], "points", tuple(known["track"])),),
                diagonal=True,
            ),
            known.select("track", metric, column),
            f"The model is better on {better:,} of {known.height:,} tracks.",
        )
