"""Write an evaluation to a directory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from danq.errors import InputError
from danq.files.json_file import read_json
from danq.inference.writers.folder_summary import SUMMARY, write_summary
from danq.inference.writers.tsv import write_table
from danq.output import check_output_folder, replacing_folder
from danq.progress import stage
from danq.provenance import sha256_of
from danq.typing import Location

if TYPE_CHECKING:
    from danq.inference.evaluation.amount_report import AmountReport
    from danq.inference.evaluation.peak_report import EvaluationReport

FORMAT = "danq-evaluation"
FORMAT_VERSION = 5
KIND = "evaluation"
SCATTER = 1_000
"""Largest number of windows of a track in ``scatter.tsv``."""

_SHOWN = (
    "created_by",
    "model",
    "model_sha256",
    "dataset",
    "dataset_sha256",
    "split",
    "strand",
    "precision",
)


def check_evaluation_directory(out: Location, overwrite: bool = False) -> None:
    """Check that an evaluation can be written, before any work is done.

    Raises
    ------
    InputError
        When ``out`` exists (without ``overwrite``, or it is not an evaluation) or cannot be
        written.
    """
    check_output_folder(out, overwrite, kind=KIND)


def write_evaluation(
    report: EvaluationReport | AmountReport, out: Location, *, overwrite: bool = False
) -> None:
    """Write an evaluation to a directory.

    Parameters
    ----------
    report
        Result of `danq.evaluate`.
    out
        Directory to write: ``metrics.tsv`` (one row per track), ``groups.tsv``, ``summary.json``,
        ``curves.tsv``, ``calibration.tsv``, plots as PNG, and ``paper.tsv`` and ``paper.png`` if
        the report compares each track with published metrics. For amounts ``amounts.tsv`` (one row
        per track), ``amount_groups.tsv``, ``scatter.tsv``, ``scatter.png``, with strata
        ``strata.tsv``, and with a baseline ``amount_baseline.png``.
    overwrite
        Replace an existing evaluation.

    Raises
    ------
    InputError
        As `check_evaluation_directory`; when the operating system cannot write, for example on a
        full disk.
    """
    with replacing_folder(out, overwrite, kind=KIND) as folder:
        _fill(folder, report)


def is_complete(folder: Path, model_sha256: str, dataset_sha256: str) -> bool:
    """Whether a directory holds the evaluation of a model on a dataset, as it was written.

    Parameters
    ----------
    folder
        A directory, which may not exist.
    model_sha256, dataset_sha256
        Checksums of the files of model and dataset.
    """
    try:
        summary = read_json(folder / SUMMARY, "an evaluation", remedy="")
        files = summary["files"]
        known = (summary["format"], summary["format_version"]) == (FORMAT, FORMAT_VERSION)
        same = (summary["model_sha256"], summary["dataset_sha256"]) == (
            model_sha256,
            dataset_sha256,
        )
        return known and same and all(sha256_of(folder / name) == files[name] for name in files)
    except (InputError, KeyError, TypeError):
        return False


def _fill(folder: Path, report: EvaluationReport | AmountReport) -> None:
    from danq.inference.evaluation.peak_report import EvaluationReport

    peaks = isinstance(report, EvaluationReport)
    if peaks:
        _fill_peaks(folder, report)
    amounts = report.amounts if peaks else report
    if amounts is not None:
        _fill_amounts(folder, amounts)
    write_summary(folder, FORMAT, FORMAT_VERSION, report.summary())


@stage("writing tables and plots")
def _fill_amounts(folder: Path, report: AmountReport) -> None:
    from danq.plots import amount_plots
    from danq.plots.style import save

    about = report.provenance
    _write_tsv(folder / "amounts.tsv", report.table, about)
    _write_tsv(folder / "amount_groups.tsv", report.groups, about)
    _write_tsv(folder / "scatter.tsv", scatter_rows(report), about)
    if report.strata is not None:
        _write_tsv(folder / "strata.tsv", report.strata, about)
    scatter = amount_plots.plot_scatter(
        report.predicted, report.measured, report.table, report.units
    )
    save(scatter, folder / "scatter.png")
    if report.baseline is not None:
        save(amount_plots.plot_amount_baseline(report.table), folder / "amount_baseline.png")


@stage("writing tables and plots")
def _fill_peaks(folder: Path, report: EvaluationReport) -> None:
    from danq.evaluation import published_metrics
    from danq.plots import metric_plots
    from danq.plots.style import save

    about = report.provenance
    _write_tsv(folder / "metrics.tsv", report.table, about)
    _write_tsv(folder / "groups.tsv", report.groups, about)
    _write_tsv(folder / "curves.tsv", curve_rows(report), about)
    _write_tsv(folder / "calibration.tsv", calibration_rows(report), about)
    recall = metric_plots.plot_precision_recall(report.curves, report.table)
    save(recall, folder / "precision_recall.png")
    save(metric_plots.plot_roc(report.curves, report.table), folder / "roc.png")
    calibration = metric_plots.plot_calibration(report.calibration, report.table)
    save(calibration, folder / "calibration.png")
    if report.baseline is not None:
        save(metric_plots.plot_baseline(report.table), folder / "baseline.png")
    if report.members is not None:
        _write_tsv(folder / "members.tsv", report.members, about)
    if report.paper is not None and report.paper.tracks is not None:
        tracks = report.paper.tracks
        _write_tsv(folder / "paper.tsv", tracks, about)
        models = published_metrics.models_of(tracks)
        model = "DanQ" if "DanQ" in models else models[0] if models else None
        if model is not None:
            prefix = published_metrics.column(model, "")[:-1]
            plot = metric_plots.plot_against(tracks, prefix, f"{model} as published")
            save(plot, folder / "paper.png")


def curve_rows(report: EvaluationReport) -> pl.DataFrame:
    """Points of the curves, one row per track and point.

    Returns
    -------
    polars.DataFrame
        ``track``; ``x``, a recall and a false positive rate; ``precision`` at that recall;
        ``true_positive_rate`` at that false positive rate.
    """
    curves, names = report.curves, report.table["track"].to_list()
    points = curves.grid.size
    table = pl.DataFrame(
        {
            "track": [name for name in names for _ in range(points)],
            "x": np.tile(curves.grid, len(names)),
            "precision": curves.precision.ravel(),
            "true_positive_rate": curves.true_positive_rate.ravel(),
        },
        schema_overrides={"track": pl.String},
    )
    return table.with_columns(pl.selectors.float().round(6))


def scatter_rows(report: AmountReport) -> pl.DataFrame:
    """Points of the scatter plots of amounts.

    Returns
    -------
    polars.DataFrame
        ``track``, ``measured``, ``predicted``: for each track with a panel, all windows with a
        measured amount, or `SCATTER` of them at equal ranks of the measured amount.
    """
    from danq.plots.amount_plots import spread_tracks

    tables = []
    for k in spread_tracks(report.table):
        known = np.flatnonzero(~np.isnan(report.measured[:, k]))
        rows = known[np.argsort(report.measured[known, k], kind="stable")]
        if rows.size > SCATTER:
            rows = rows[np.linspace(0, rows.size - 1, SCATTER).round().astype(int)]
        tables.append(
            pl.DataFrame(
                {
                    "track": [report.table["track"][k]] * rows.size,
                    "measured": report.measured[rows, k].astype(np.float64),
                    "predicted": report.predicted[rows, k].astype(np.float64),
                },
                schema_overrides={"track": pl.String},
            )
        )
    return pl.concat(tables).with_columns(pl.selectors.float().round_sig_figs(6))


def calibration_rows(report: EvaluationReport) -> pl.DataFrame:
    """Bins of the calibration: all tracks pooled under the name ``all``, then each track.

    Returns
    -------
    polars.DataFrame
        ``track``, ``low``, ``high``, ``windows``, ``predicted``, ``observed``; bins without
        windows are excluded.
    """
    pooled, single = report.calibration.pooled(), report.calibration
    names = ["all", *report.table["track"].to_list()]
    bins = single.edges.size - 1
    parts = {
        name: np.concatenate([getattr(pooled, name), getattr(single, name)]).ravel()
        for name in ("windows", "predicted", "observed")
    }
    table = pl.DataFrame(
        {
            "track": [name for name in names for _ in range(bins)],
            "low": np.tile(single.edges[:-1], len(names)),
            "high": np.tile(single.edges[1:], len(names)),
            **parts,
        },
        schema_overrides={"track": pl.String},
    )
    return table.filter(pl.col("windows") > 0).with_columns(pl.selectors.float().round_sig_figs(6))


def _write_tsv(path: Path, table: pl.DataFrame, about: Mapping[str, Any]) -> None:
    """Write a table with the main provenance fields; undefined values are empty."""
    plain = table.with_columns(pl.selectors.float().fill_nan(None))
    shown = {name: about[name] for name in _SHOWN}
    texts = {n: ", ".join(map(str, v)) if isinstance(v, list) else v for n, v in shown.items()}
    write_table(path, plain, texts)
