"""Measure a model on held-out windows."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from danq._version import __version__
from danq.device import resolve_device, resolve_precision
from danq.errors import InputError
from danq.evaluation.baseline import KmerBaseline, fit_kmer_baseline
from danq.evaluation.bootstrap import Bootstrap, window_blocks
from danq.evaluation.bootstrap import bootstrap as redraw
from danq.evaluation.calibration import Calibration, calibration
from danq.evaluation.curves import CurveGrid, curve_grid
from danq.evaluation.metrics import Ranking, rank
from danq.evaluation.published import TRACKS, Comparison, compare, read_paper
from danq.evaluation.table import group_table, track_table, without_positives
from danq.inference.engine.forward import BATCH_SIZE, predict_dataset
from danq.inference.evaluation.evaluation_folder import objection, write_folder
from danq.inference.evaluation.matching import open_matching
from danq.inference.evaluation.precision_cost import PrecisionCost
from danq.models.run_options import RunOptions, Strand
from danq.output import check_folder
from danq.typing import IntRow, LabelBatch, Scores

if TYPE_CHECKING:
    from danq.datasets.dataset import Dataset
    from danq.models import Model

SPLITS = ("train", "valid", "test")
REPLICATES = 1000
_ROWS = 4096

log = logging.getLogger("danq")


@dataclass(frozen=True)
class EvaluationReport:
    """How well a model ranks the windows of one split.

    Attributes
    ----------
    table
        One row a track, see `danq.evaluation.table.track_table`.
    groups
        Means and medians, of all tracks and of each group, see
        `danq.evaluation.table.group_table`.
    curves
        Precision-recall and ROC curves of all tracks.
    calibration
        Predicted against observed frequencies.
    without_positives
        Tracks that no window of the split is positive for: listed, not averaged.
    provenance
        Model, dataset, split and settings, as they go into ``summary.json``.
    baseline
        The k-mer baseline, or None.
    paper
        The published figures beside ours, or None.
    precision_cost
        The figures in bf16 beside those in fp32, or None.
    folder
        Where it was written, or None.
    """

    table: pl.DataFrame
    groups: pl.DataFrame
    curves: CurveGrid = field(repr=False)
    calibration: Calibration = field(repr=False)
    without_positives: tuple[str, ...]
    provenance: dict[str, Any]
    baseline: KmerBaseline | None = field(default=None, repr=False)
    paper: Comparison | None = field(default=None, repr=False)
    precision_cost: PrecisionCost | None = None
    folder: Path | None = None

    @property
    def macro_aupr(self) -> float:
        """Mean AUPR over the tracks with a positive; NaN when there is none."""
        return _number(self.groups["aupr_mean"][0])

    @property
    def macro_auroc(self) -> float:
        """Mean AUROC over the tracks with a positive and a negative; NaN when there is none."""
        return _number(self.groups["auroc_mean"][0])

    def summary(self) -> dict[str, Any]:
        """Everything but the per-track table, ready for JSON."""
        fitted, cost = self.baseline, self.precision_cost
        return {
            **self.provenance,
            "overall": self.groups.row(0, named=True),
            "groups": self.groups.to_dicts()[1:],
            "tracks_without_positives": list(self.without_positives),
            "calibration_error": float(self.calibration.pooled().error()[0]),
            "precision_cost": None if cost is None else cost.row(),
            "published": None if self.paper is None else self.paper.means.to_dicts(),
            "baseline": None
            if fitted is None
            else {
                "model": "ridge regression on k-mer counts of both strands",
                "k": fitted.k,
                "penalty_per_window": fitted.penalty,
                "validation_aupr_by_penalty": {str(p): v for p, v in fitted.tried.items()},
            },
        }

    def describe(self) -> str:
        """A few lines for a person to read."""
        about, row = self.provenance, self.groups.row(0, named=True)
        lines = [
            f"{about['windows']:,} windows of the {about['split']} split, "
            f"{row['tracks']:,} tracks with positives"
        ]
        for figure, name in (("aupr", "AUPR"), ("auroc", "AUROC")):
            text = f"{name:5}  mean {_show(row[f'{figure}_mean'])}"
            low, high = row[f"{figure}_mean_low"], row[f"{figure}_mean_high"]
            if low is not None and high is not None:
                text += f" ({_show(low)} to {_show(high)})"
            text += f", median {_show(row[f'{figure}_median'])}"
            if self.baseline is not None:
                text += f"; k-mer baseline mean {_show(row[f'baseline_{figure}_mean'])}"
            lines.append(text)
        if row["below_baseline"] is not None:
            lines.append(f"AUPR is below the baseline's on {row['below_baseline']:,} tracks")
        if self.without_positives:
            shown = ", ".join(self.without_positives[:5])
            more = len(self.without_positives) - 5
            tail = f" and {more:,} more" if more > 0 else ""
            lines.append(f"left out, without positives: {shown}{tail}")
        if self.precision_cost is not None:
            lines += self.precision_cost.describe()
        if self.paper is not None:
            lines += self.paper.describe()
        return "\n".join(lines)


def evaluate(
    model: Model | str | Path,
    dataset: Dataset | str | Path,
    *,
    split: str = "test",
    out: str | Path | None = None,
    strand: Strand = "both",
    baseline: bool = False,
    paper: bool | str | Path = False,
    precision_cost: bool = False,
    bootstrap: int = REPLICATES,
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
    device: str = "auto",
    precision: str = "auto",
    overwrite: bool = False,
) -> EvaluationReport:
    """Measure a model on one split of a dataset.

    Parameters
    ----------
    model
        A model, or the path of a model file or run folder.
    dataset
        A dataset, or the path of its file. Its window, bin and tracks must be the model's.
    split
        ``"train"``, ``"valid"`` or ``"test"``.
    out
        Folder to write: ``metrics.tsv`` (a row a track), ``groups.tsv``, ``summary.json``,
        ``curves.tsv``, ``calibration.tsv`` and plots as PNG. Nothing is written where None.
    strand
        ``"both"`` averages the predictions for a window and its reverse complement.
    baseline
        Also fit ridge regression on k-mer counts to the training split, choose its penalty
        on the validation split, and put its figures beside the model's.
    paper
        Put the figures that DeepSEA's and DanQ's authors published beside the model's; the path
        of the authors' table (`danq.evaluation.published.read_paper`) does so by track, in
        ``paper.tsv`` and ``paper.png``.
    precision_cost
        Where the precision resolves to bf16, evaluate the same windows in fp32 too and say what
        bf16 costs: mean AUPR and AUROC in both and the largest difference of a track. The other
        figures stay those of bf16.
    bootstrap
        Bootstrap draws, of blocks of neighbouring windows, for the 95 % intervals; 0 for
        none.
    seed
        Seed of the draws.
    batch_size
        Windows at a time.
    device, precision
        As `danq.device.resolve_device` and `danq.device.resolve_precision` take them.
    overwrite
        Replace an evaluation that lies at ``out``.

    Raises
    ------
    InputError
        When the dataset's window, bin or tracks differ from the model's, the split does not
        exist or is empty, ``out`` exists (without ``overwrite``, or it is no evaluation) or
        cannot be written, ``bootstrap`` is 1 or negative, the model gives NaN, one of the files
        cannot be read, or the authors' table has other tracks.
    """
    _check_words(split, bootstrap)
    target = None if out is None else check_folder(out, overwrite, objection=objection)
    where = resolve_device(device)
    theirs = None if isinstance(paper, bool) else read_paper(paper)
    model, dataset = open_matching(model, dataset)
    indices = dataset.indices(split)
    if not len(indices):
        raise InputError(
            f"the {split} split is empty", file=dataset.path, remedy="Choose another split"
        )
    used = resolve_precision(precision, where)
    options = RunOptions(device=str(where), precision=used, strand=strand, batch_size=batch_size)
    scores = predict_dataset(model.module, dataset, indices, options)
    fitted, base = _fit_baseline(dataset, indices) if baseline else (None, None)
    labels = dataset.labels(indices)
    draw = _redraw(dataset, indices, scores, labels, bootstrap, seed)
    about = {
        "created_by": f"danq {__version__}",
        "model": None if model.path is None else str(model.path),
        "model_digest": model.digest,
        "preset": model.spec.preset,
        "dataset": None if dataset.path is None else str(dataset.path),
        "dataset_digest": dataset.digest,
        "split": split,
        "windows": len(indices),
        "strand": strand,
        "device": str(where),
        "precision": used,
        "bootstrap_replicates": bootstrap if draw else 0,
        "bootstrap_seed": seed,
    }
    report = _report(dataset, scores, labels, draw, fitted, base, about)
    if paper:
        if len(dataset.tracks) != TRACKS or split != "test":
            log.warning("The published figures are of DeepSEA's test split and its 919 tracks.")
        report = replace(report, paper=compare(report.table, report.groups, theirs))
    if precision_cost and used == "fp32":
        log.warning("The model ran in fp32, so there is no cost of bf16 to measure.")
    elif precision_cost:
        exact = predict_dataset(model.module, dataset, indices, replace(options, precision="fp32"))
        names = dataset.tracks
        cost = PrecisionCost.between(rank(exact, labels, names), rank(scores, labels, names), names)
        report = replace(report, precision_cost=cost)
    if target is None:
        return report
    report = replace(report, folder=target)
    write_folder(report, target, overwrite=overwrite)
    return report


def _check_words(split: str, bootstrap: int) -> None:
    if split not in SPLITS:
        raise InputError(f"there is no split '{split}'", remedy=f"Choose {', '.join(SPLITS)}")
    if bootstrap < 0 or bootstrap == 1:
        raise InputError(
            f"{bootstrap} bootstrap replicates were asked for", remedy="Give 0, or 2 and more"
        )


def _batches(dataset: Dataset, indices: IntRow) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for start in range(0, len(indices), _ROWS):
        rows = indices[start : start + _ROWS]
        yield dataset.codes(rows), dataset.labels(rows)


def _fit_baseline(dataset: Dataset, indices: IntRow) -> tuple[KmerBaseline, Ranking]:
    train, valid = dataset.indices("train"), dataset.indices("valid")
    log.info("fitting the k-mer baseline to %s training windows", f"{len(train):,}")
    fitted = fit_kmer_baseline(_batches(dataset, train), _batches(dataset, valid))
    scores = np.concatenate([fitted.predict(codes) for codes, _ in _batches(dataset, indices)])
    return fitted, rank(scores, dataset.labels(indices), dataset.tracks)


def _redraw(
    dataset: Dataset,
    indices: IntRow,
    scores: Scores,
    labels: LabelBatch,
    replicates: int,
    seed: int,
) -> Bootstrap | None:
    if not replicates:
        return None
    blocks = window_blocks(dataset.contig[indices], dataset.start[indices])
    if blocks.max() == 0:
        log.warning("one window alone gives no bootstrap interval")
        return None
    return redraw(scores, labels, blocks, replicates=replicates, seed=seed, names=dataset.tracks)


def _report(
    dataset: Dataset,
    scores: Scores,
    labels: LabelBatch,
    draw: Bootstrap | None,
    fitted: KmerBaseline | None,
    base: Ranking | None,
    about: dict[str, Any],
) -> EvaluationReport:
    names = dataset.tracks
    table = track_table(
        names,
        dataset.groups,
        rank(scores, labels, names),
        len(scores),
        bootstrap=draw,
        baseline=base,
    )
    return EvaluationReport(
        table=table,
        groups=group_table(table, draw),
        curves=curve_grid(scores, labels, names=names),
        calibration=calibration(scores, labels, names=names),
        without_positives=tuple(without_positives(table)),
        provenance=about,
        baseline=fitted,
    )


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _show(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
