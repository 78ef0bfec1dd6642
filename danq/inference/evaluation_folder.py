"""The folder that an evaluation is written to."""

from __future__ import annotations

import errno
import json
import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from danq.datasets.output import check_target
from danq.errors import InputError

if TYPE_CHECKING:
    from danq.inference.evaluate import EvaluationReport

SUMMARY = "summary.json"
FORMAT = "danq-evaluation"
FILES = frozenset(
    {
        SUMMARY,
        "metrics.tsv",
        "groups.tsv",
        "curves.tsv",
        "calibration.tsv",
        "precision_recall.png",
        "roc.png",
        "calibration.png",
        "baseline.png",
    }
)
"""Every file that an evaluation may hold."""

_SHOWN = (
    "created_by",
    "model",
    "model_digest",
    "dataset",
    "dataset_digest",
    "split",
    "strand",
    "precision",
)


def check_folder(out: str | Path, overwrite: bool = False) -> Path:
    """Refuse a place where an evaluation may not or cannot be written.

    Parameters
    ----------
    out
        The folder to make. The one around it must be there; an empty folder is used as it is.
    overwrite
        Replace an evaluation that lies there.

    Raises
    ------
    InputError
        When something is there and ``overwrite`` is false; it holds files that are not of an
        evaluation, which are never replaced; or the folder around it is missing or not
        writable.
    """
    path = Path(out).absolute()
    if not path.is_dir():
        if path.exists():
            raise InputError(
                "is a file, not a folder", file=path, remedy="Give the folder another name"
            )
        return check_target(path)
    found = {entry.name for entry in path.iterdir()}
    if found and not overwrite:
        raise InputError(
            "exists already and is not empty",
            file=path,
            remedy="Choose another name, or ask for overwriting it",
        )
    strange = sorted(found - FILES)
    if strange:
        raise InputError(
            f"holds '{strange[0]}', which is not of an evaluation, and would be replaced whole",
            file=path,
            remedy="Choose another folder",
        )
    check_target(path / SUMMARY, overwrite)
    return path


def write_folder(report: EvaluationReport, out: Path, *, overwrite: bool = False) -> None:
    """Write a report, under a temporary name until it is whole.

    Parameters
    ----------
    report
        What was measured.
    out
        Folder to make.
    overwrite
        Replace an evaluation that lies there.

    Raises
    ------
    InputError
        As `check_folder`; and when the system refuses to write, as on a full disk.
    """
    target = check_folder(out, overwrite)
    mark = secrets.token_hex(4)
    temporary = target.with_name(f".{target.name}.{mark}.part")
    old = target.with_name(f".{target.name}.{mark}.old")
    try:
        temporary.mkdir()
        _fill(temporary, report)
        if target.exists():
            target.rename(old)
        temporary.rename(target)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        raise InputError(
            f"cannot be written: {error.strerror or error}",
            file=target,
            remedy="Make room, or choose another disk" if full else "Choose another place",
        ) from error
    finally:
        if old.exists() and not target.exists():
            with suppress(OSError):
                old.rename(target)
        if target.exists():
            shutil.rmtree(old, ignore_errors=True)
        shutil.rmtree(temporary, ignore_errors=True)


def _fill(folder: Path, report: EvaluationReport) -> None:
    from danq.evaluation import plots

    about = report.provenance
    _write_tsv(folder / "metrics.tsv", report.table, about)
    _write_tsv(folder / "groups.tsv", report.groups, about)
    _write_tsv(folder / "curves.tsv", curve_rows(report), about)
    _write_tsv(folder / "calibration.tsv", calibration_rows(report), about)
    plots.save(
        plots.plot_precision_recall(report.curves, report.table), folder / "precision_recall.png"
    )
    plots.save(plots.plot_roc(report.curves, report.table), folder / "roc.png")
    plots.save(plots.plot_calibration(report.calibration, report.table), folder / "calibration.png")
    if report.baseline is not None:
        plots.save(plots.plot_baseline(report.table), folder / "baseline.png")
    text = json.dumps({"format": FORMAT, "format_version": 1, **report.summary()}, indent=2)
    (folder / SUMMARY).write_text(text + "\n", encoding="utf-8")


def curve_rows(report: EvaluationReport) -> pl.DataFrame:
    """Points of the curves, a row a track and place.

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
            "true_positive_rate": curves.sensitivity.ravel(),
        },
        schema_overrides={"track": pl.String},
    )
    return table.with_columns(pl.selectors.float().round(6))


def calibration_rows(report: EvaluationReport) -> pl.DataFrame:
    """Bins of the calibration, all tracks pooled under the name ``all``, then each track.

    Returns
    -------
    polars.DataFrame
        ``track``, ``low``, ``high``, ``windows``, ``predicted``, ``observed``; bins without
        windows are left out.
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
    """Comment lines of provenance, one header line, one line a row; empty where undefined."""
    with path.open("wb") as file:
        for name in _SHOWN:
            file.write(f"# {name}: {about[name] or '-'}\n".encode())
        plain = table.with_columns(pl.selectors.float().fill_nan(None))
        plain.write_csv(file, separator="\t", quote_style="never")
