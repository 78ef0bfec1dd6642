"""The table of a comparison of two models, and its summary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl

from danq.evaluation.paired_bootstrap import Difference
from danq.inference.writers.layout import SPREAD
from danq.notebook_display import Display, FirstRows, display_html, display_text
from danq.typing import PerTrack

if TYPE_CHECKING:
    from danq.datasets.dataset import Dataset

ALL = "all"
TITLES = {
    "auroc": "AUROC",
    "aupr": "AUPR",
    "log_loss": "log loss",
    "pearson": "Pearson",
    "spearman": "Spearman",
    "r2": "R2",
    "mse": "MSE",
}
"""Titles of the metrics of peaks, then of amounts."""

LOWER_IS_BETTER = ("log_loss", "mse")

Members = dict[str, list[PerTrack]] | None
"""Metrics of each member of an ensemble; None for one model."""


class ComparedTracks(NamedTuple):
    """Differences of the tracks of one kind.

    Attributes
    ----------
    tracks, macro
        Differences of each metric, per track and of the mean over tracks.
    count
        ``(K,)`` positive windows of tracks of peaks, measured windows of tracks of amounts.
    members
        Metrics of the members of the first and of the second side.
    """

    tracks: dict[str, Difference]
    macro: dict[str, Difference]
    count: np.ndarray
    members: Sequence[Members]


@dataclass(frozen=True)
class ModelComparison:
    """Metrics of two models on the same windows, and their differences.

    Attributes
    ----------
    table
        First the means over tracks, named ``all``, then one row per track: ``track``, ``group``,
        ``positives`` (if there are tracks of peaks), ``windows``. For each of ``auroc``, ``aupr``
        and ``log_loss`` of peaks, and ``pearson``, ``spearman``, ``r2`` and ``mse`` of amounts:
        ``_first``, ``_second``, ``_difference`` (second minus first), ``_low`` and ``_high`` (95 %
        interval of the difference), and ``_p``; and for an ensemble ``_first_sd`` or
        ``_second_sd``, the sample standard deviation over its members.
    provenance
        Models, dataset, split and settings.
    """

    table: pl.DataFrame
    provenance: dict[str, Any]

    __repr__ = display_text
    _repr_html_ = display_html

    def _display(self) -> Display:
        about, tracks = self.provenance, self.table.height - 1
        summary = f"{about['windows']:,} windows of the {about['split']} split, {tracks:,} tracks"
        table = FirstRows.of("Metrics of both models: means, then each track", self.table)
        return Display(summary, self.describe(), tables=[table])

    def describe(self) -> str:
        """The differences as a few lines of text."""
        about, row = self.provenance, self.table.row(0, named=True)
        lines = [
            f"{about['windows']:,} windows of the {about['split']} split, second model minus first"
        ]
        for metric, title in TITLES.items():
            if f"{metric}_first" not in row:
                continue
            values = [row[f"{metric}_{name}"] for name in ("first", "second", "difference")]
            if None in values:
                reason = (
                    "no track has a positive and a negative"
                    if metric in ("auroc", "aupr")
                    else "predictions or measured amounts of every track are equal or missing"
                )
                lines.append(f"{title}: undefined, because {reason}")
                continue
            first, second, difference = values
            low, high, p = (row[f"{metric}_{name}"] for name in ("low", "high", "p"))
            lines.append(
                f"{title + ':':9} mean {first:.4f} and {second:.4f}, difference {difference:+.4f} "
                f"({low:+.4f} to {high:+.4f}), p {p:.2g}"
            )
            lines += self._of_members(metric)
            tracks = self.table[1:]
            above = int((tracks[f"{metric}_low"] > 0).sum())
            below = int((tracks[f"{metric}_high"] < 0).sum())
            better, worse = (below, above) if metric in LOWER_IS_BETTER else (above, below)
            compared = int(tracks[f"{metric}_difference"].count())
            lines.append(
                f"{'':9} of {compared:,} track{'s' * (compared != 1)}, the interval "
                f"excludes 0 for {better + worse:,}: the second model is better on {better:,}, "
                f"worse on {worse:,}"
            )
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """The table and the provenance."""
        return {"table": self.table.to_dicts(), "provenance": self.provenance}

    def _of_members(self, metric: str) -> list[str]:
        """The spread of the mean over the members of each ensemble, as a line of text."""
        row = self.table.row(0, named=True)
        spreads = {side: row.get(f"{metric}_{side}{SPREAD}") for side in ("first", "second")}
        shown = [f"{side} {value:.4f}" for side, value in spreads.items() if value is not None]
        if not shown:
            return []
        return [f"{'':9} standard deviation over the members: {', '.join(shown)}"]


def comparison_table(
    dataset: Dataset, windows: int, peaks: ComparedTracks | None, amounts: ComparedTracks | None
) -> pl.DataFrame:
    """The table of `ModelComparison`.

    Parameters
    ----------
    dataset
        The dataset.
    windows
        Number of windows.
    peaks, amounts
        Differences of the tracks of each kind; None without such tracks.
    """
    first = dataset.peaks.size
    parts = []
    if peaks is not None:
        columns = _names(dataset, slice(0, first))
        columns["positives"] = np.concatenate([[peaks.count.sum()], peaks.count])
        columns["windows"] = np.full(first + 1, windows)
        parts.append(_part(columns | _metrics(peaks)))
    if amounts is not None:
        columns = _names(dataset, slice(first, None))
        columns["windows"] = np.concatenate([[windows], amounts.count])
        parts.append(_part(columns | _metrics(amounts)))
    if len(parts) == 1:
        return parts[0]
    own, other = parts
    head = own[:1].hstack(other[:1].select(pl.exclude("track", "group", "windows")))
    return pl.concat([head, own[1:], other[1:]], how="diagonal")


def _names(dataset: Dataset, tracks: slice) -> dict[str, Any]:
    return {"track": [ALL, *dataset.tracks[tracks]], "group": ["", *dataset.groups[tracks]]}


def _metrics(found: ComparedTracks) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for metric, tracks in found.tracks.items():
        pairs = zip(found.macro[metric], tracks, strict=True)
        names = ("first", "second", "difference", "low", "high", "p")
        for name, (mean, each) in zip(names, pairs, strict=True):
            columns[f"{metric}_{name}"] = np.concatenate([mean, each])
        for side, members in zip(("first", "second"), found.members, strict=True):
            if members is not None:
                columns[f"{metric}_{side}{SPREAD}"] = _spread(metric, found, members[metric])
    return columns


def _spread(metric: str, found: ComparedTracks, values: list[PerTrack]) -> np.ndarray:
    """Standard deviation over members of the mean over tracks, then of each track."""
    each = np.array(values)
    defined = ~np.isnan(each).any(axis=0)
    if metric != "log_loss":
        defined &= found.count > 0
    means = each[:, defined].mean(axis=1) if defined.any() else np.full(len(each), np.nan)
    return np.concatenate([[np.std(means, ddof=1)], np.std(each, axis=0, ddof=1)])


def _part(columns: dict[str, Any]) -> pl.DataFrame:
    table = pl.DataFrame(columns, schema_overrides={"track": pl.String, "group": pl.String})
    return table.with_columns(pl.selectors.float().fill_nan(None))
