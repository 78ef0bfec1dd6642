"""Published metrics on DeepSEA's test set, and the comparison of a model with them."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from danq.errors import InputError
from danq.files.text_tables import is_missing, text_rows
from danq.typing import Location

MODELS = ("DeepSEA", "DanQ", "DanQ-JASPAR")
TRACKS = 919
METRICS = ("auroc", "aupr")
TITLES = {"auroc": "AUROC", "aupr": "AUPR"}

PUBLISHED = {
    ("auroc", "mean", "all"): (0.9326, 0.9384, 0.9417),
    ("auroc", "median", "all"): (0.9445, 0.9514, 0.9534),
    ("auroc", "mean", "DNase"): (0.9155, 0.9208, 0.9246),
    ("auroc", "mean", "TF"): (0.9478, 0.9535, 0.9569),
    ("auroc", "mean", "histone"): (0.8522, 0.8596, 0.8622),
    ("aupr", "mean", "all"): (0.3425, 0.3709, 0.3794),
    ("aupr", "median", "all"): (0.3438, 0.3726, 0.3834),
    ("aupr", "mean", "DNase"): (0.4443, 0.4636, 0.4752),
    ("aupr", "mean", "TF"): (0.3203, 0.3520, 0.3606),
    ("aupr", "mean", "histone"): (0.3676, 0.3850, 0.3883),
}
"""Metric, statistic over tracks and group of tracks, with the value of each of `MODELS`.

Quang & Xie, Nucleic Acids Research 2016: 227,512 windows of chr8 and chr9, averaged over both
strands, and 918 of 919 tracks, which have positives there.
"""


@dataclass(frozen=True)
class Comparison:
    """Metrics of a model next to the published ones.

    Attributes
    ----------
    means
        A row for each of `PUBLISHED`: ``metric``, ``statistic`` ("mean" or "median"), ``group``,
        ``model`` (the evaluated model; null without such a group) and a column per published model.
    tracks
        A row per track: ``track``, ``group``, ``auroc``, ``aupr``, and the metrics of each model in
        the authors' table, such as ``danq_auroc`` and ``danq_jaspar_aupr``. None without a table.
    """

    means: pl.DataFrame
    tracks: pl.DataFrame | None = None

    def describe(self) -> list[str]:
        """The comparison as lines of text."""
        lines = [
            f"{'compared with published metrics':32}{'model':>9}{''.join(map(_heading, MODELS))}"
        ]
        for row in self.means.iter_rows(named=True):
            group = "" if row["group"] == "all" else f", {row['group']}"
            values = [row["model"], *(row[model] for model in MODELS)]
            name = f"{TITLES[row['metric']]} {row['statistic']}{group}"
            shown = f"{_show(values[0]):>9}" + "".join(f"{_show(v):>13}" for v in values[1:])
            lines.append(f"{name:32}{shown}")
        for model in models_of(self.tracks):
            counts = [self._better(model, metric) for metric in METRICS]
            wins = " and ".join(
                f"{TITLES[metric]} on {better:,} of {known:,}"
                for metric, (better, known) in zip(METRICS, counts, strict=True)
            )
            lines.append(f"better than {model} by {wins} tracks")
        return lines

    def _better(self, model: str, metric: str) -> tuple[int, int]:
        assert self.tracks is not None
        theirs = column(model, metric)
        known = self.tracks.drop_nulls([metric, theirs])
        return int((known[metric] > known[theirs]).sum()), known.height


def compare(
    table: pl.DataFrame, groups: pl.DataFrame, paper: pl.DataFrame | None = None
) -> Comparison:
    """Compare the metrics of a model with the published ones.

    Parameters
    ----------
    table
        Table of `danq.evaluation.metric_tables.track_table`.
    groups
        Table of `danq.evaluation.metric_tables.group_table`.
    paper
        The authors' table from `read_paper`.

    Raises
    ------
    InputError
        When the authors' table has another number of tracks, or another name for a track that is
        named ``cell|mark|treatment``.
    """
    ours = {row["group"]: row for row in groups.iter_rows(named=True)}
    rows = [
        {
            "metric": metric,
            "statistic": statistic,
            "group": group,
            "model": ours.get(group, {}).get(f"{metric}_{statistic}"),
            **dict(zip(MODELS, values, strict=True)),
        }
        for (metric, statistic, group), values in PUBLISHED.items()
    ]
    means = pl.DataFrame(rows, schema_overrides={"model": pl.Float64})
    if paper is None:
        return Comparison(means)
    _check_tracks(table["track"].to_list(), paper["name"].to_list())
    chosen = table.select("track", "group", *METRICS)
    return Comparison(means, chosen.hstack(paper.drop("name")))


def read_paper(path: Location) -> pl.DataFrame:
    """Read the authors' table of metrics per track.

    Parameters
    ----------
    path
        Text separated by tabs or commas. The first columns of the header are ``Cell Type``,
        ``TF/DNase/HistoneMark`` and ``Treatment``, then ``<model> ROC AUC`` and
        ``<model> PR AUC`` of some of `MODELS`.

    Returns
    -------
    polars.DataFrame
        ``name`` (``cell|mark|treatment``), then columns such as ``danq_auroc``. A missing metric is
        null.

    Raises
    ------
    InputError
        When it cannot be read, has other columns, or a metric is not a number from 0 to 1.
    """
    path = Path(path)
    rows = list(text_rows(path))
    if rows and len(rows[0].fields) == 1:
        rows = [
            row._replace(fields=[one.strip() for one in next(csv.reader([row.text]))])
            for row in rows
        ]
    header = [field.lower() for field in rows[0].fields] if rows else []
    positions = {name: header.index(title) for name, title in _columns() if title in header}
    if len(header) < 4 or header[0] != "cell type" or not positions:
        raise InputError(
            "not the authors' table: the first column is not 'Cell Type', or there are no metrics",
            file=path,
            remedy="The columns are Cell Type, TF/DNase/HistoneMark, Treatment, DanQ ROC AUC, "
            "DanQ PR AUC, and the same two of DeepSEA and DanQ-JASPAR",
        )
    names: list[str] = []
    values: dict[str, list[float | None]] = {name: [] for name in positions}
    for number, given, text in rows[1:]:
        # Empty fields at the end of a line were removed.
        fields = [*given, *[""] * (text.count("\t") + 1 - len(given))]
        if len(given) > len(header) or len(fields) < len(header):
            raise InputError(
                f"{len(fields)} columns, not {len(header)}",
                file=path,
                line=number,
                remedy="Give each line the columns of the first line",
            )
        names.append("|".join(fields[:3]))
        for name, position in positions.items():
            values[name].append(_value(fields[position], path, number))
    return pl.DataFrame(
        {"name": names, **values},
        schema={"name": pl.String, **dict.fromkeys(values, pl.Float64)},
    )


def models_of(tracks: pl.DataFrame | None) -> list[str]:
    """Models with all metrics in a table of tracks."""
    if tracks is None:
        return []
    return [m for m in MODELS if all(column(m, metric) in tracks.columns for metric in METRICS)]


def column(model: str, metric: str) -> str:
    """Name of the column with a metric of a model, such as ``danq_jaspar_aupr``."""
    return f"{model.lower().replace('-', '_')}_{metric}"


def _columns() -> Iterator[tuple[str, str]]:
    for metric, title in zip(METRICS, ("roc auc", "pr auc"), strict=True):
        for model in MODELS:
            yield column(model, metric), f"{model.lower()} {title}"


def _value(text: str, path: Path, line: int) -> float | None:
    if is_missing(text):
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise InputError(f"'{text}' is not a number from 0 to 1", file=path, line=line)
    return value


def _check_tracks(ours: Sequence[str], theirs: Sequence[str]) -> None:
    if len(ours) != len(theirs):
        raise InputError(
            f"the authors' table has {len(theirs):,} tracks, the dataset {len(ours):,}"
        )
    for number, (one, other) in enumerate(zip(ours, theirs, strict=True), start=1):
        # Names that several tracks share have a number; earlier versions of danq wrote '#'.
        if "|" in one and one not in (other, f"{other}|{number}", f"{other}#{number}"):
            raise InputError(
                f"track {number} is '{one}' in the dataset, but '{other}' in the authors' table"
            )


def _heading(model: str) -> str:
    return f"{model:>13}"


def _show(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
