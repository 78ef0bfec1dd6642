"""Train a model for each of several groups of windows, and predict each group with its model."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from danq.datasets.build import label_undivided
from danq.datasets.dataset import Dataset
from danq.datasets.fold_groups import FoldGroups, group_windows
from danq.datasets.fold_splits import fold_dataset
from danq.datasets.leaked_windows import constant_ends, report_similar_in_folds
from danq.device import resolve_device, resolve_precision, set_threads
from danq.errors import InputError, few
from danq.inference.evaluation.evaluation_folder import write_evaluation
from danq.models import load_model
from danq.models.ensemble_file import write_ensemble
from danq.models.stored_model import RUN_MODEL
from danq.notebook_display import Display, display_html, display_text
from danq.progress import counted
from danq.training.config import (
    DataSettings,
    FoldSettings,
    ModelSettings,
    RunConfig,
    RunSettings,
    data_settings,
    merge_config,
    read_config,
)
from danq.training.folds_directory import (
    EVALUATION,
    HELD_OUT_EVALUATION,
    KIND,
    OUT_OF_FOLD,
    FoldsDirectory,
    fold_name,
)
from danq.training.out_of_fold import OutOfFold, Report, prediction_layout
from danq.training.process_layout import find_layout
from danq.training.processes import one_voice
from danq.training.recipe import Recipe
from danq.training.restarts import continued, stored_config
from danq.training.run_directory import is_run, open_or_label
from danq.training.session import TrainingResult
from danq.training.suited_settings import suited
from danq.training.train import check_training, train

log = logging.getLogger("danq")


@dataclass(frozen=True)
class Folds:
    """Data to train on in folds.

    Attributes
    ----------
    data
        As for `danq.train`.
    number
        Number of folds, from 3 to 100.
    hold_out
        Contigs that are in no fold, as a sequence or separated by commas. If the dataset was built
        from a table with a column of folds: folds of that table.
    """

    data: str | Path | Dataset | DataSettings | None = None
    number: int | None = None
    hold_out: str | Sequence[str] = ()

    @property
    def settings(self) -> FoldSettings:
        """Number and held-out contigs, as a configuration stores them."""
        given: dict[str, Any] = {}
        if self.number is not None:
            given["number"] = self.number
        if self.hold_out:
            one = isinstance(self.hold_out, str)
            given["hold_out"] = self.hold_out if one else tuple(self.hold_out)
        return FoldSettings(**given)


@dataclass(frozen=True, kw_only=True)
class FoldsResult:
    """Result of a training in folds.

    Attributes
    ----------
    directory
        The directory; ``danq.load_ensemble(directory)`` gives the models of all folds.
    folds
        Result of the training of each fold.
    report
        Metrics of the out-of-fold predictions, as of `danq.evaluate`; None if the settings say not
        to evaluate.
    held_out_report
        Metrics of the mean of all models for the held-out windows; None without such windows.
    """

    directory: Path
    folds: tuple[TrainingResult, ...]
    report: Report | None
    held_out_report: Report | None

    __repr__ = display_text
    _repr_html_ = display_html

    def _display(self) -> Display:
        return Display.of_text(self.describe())

    def describe(self) -> str:
        """The directory, and the main metrics as lines of text."""
        lines = [f"{self.directory}: {len(self.folds)} folds; {OUT_OF_FOLD} has all predictions"]
        reports = (self.report, self.held_out_report)
        if self.report is not None:
            lines.append(
                "metrics of all windows together, by several models; those of each model are in "
                "its folder"
            )
        return "\n".join([*lines, *(one.describe() for one in reports if one is not None)])

    def to_dict(self) -> dict[str, Any]:
        """The directory, the result of each fold, and the metrics with their tables."""
        reports = {"out_of_fold": self.report, "held_out": self.held_out_report}
        return {
            "directory": self.directory,
            "folds": [vars(one) for one in self.folds],
            **{name: None if one is None else one.to_dict() for name, one in reports.items()},
        }


@one_voice()
def train_folds(
    data: Folds | None = None,
    *,
    out: str | Path,
    config: str | Path | RunConfig | None = None,
    model: str | ModelSettings | None = None,
    recipe: str | Recipe | None = None,
    run: RunSettings | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> FoldsResult:
    """Train one model per fold, and predict each window with the model that never saw it.

    The windows are divided into groups of about equal size. In fold i, group i is the test split,
    the next group is the validation split, and all others train. Held-out contigs are in no fold;
    the mean of all models predicts them.

    A group consists of whole contigs, or of whole folds if the dataset was built from a table with
    a column of folds. A genome of one or two contigs is divided into blocks of neighbouring
    windows; in each fold, training and validation windows that share a base with a window of
    another split are left out. Other standalone sequences are in random groups, with the copies of
    a sequence in one group. The splits of a dataset are not used.

    Parameters
    ----------
    data
        Data and number of folds. None takes both from ``config``.
    out
        Directory. It receives a run directory per fold (``fold1``, ``fold2``, ...; see
        `danq.train`), ``groups.tsv``, ``out_of_fold.parquet`` (predictions of all windows, as of
        `danq predict`), ``evaluation/`` and ``held_out_evaluation/`` (their metrics),
        ``ensemble.json`` (see `danq.load_ensemble`), ``config.toml``, and ``dataset.h5`` if the
        dataset was built here.
    config, model, recipe
        As for `danq.train`; ``[folds]`` of a configuration has the entries ``number`` and
        ``hold_out``.
    run
        As for `danq.train`, with one device. The random seed also determines random groups.
    resume
        Continue a training in folds. Finished folds stay as they are. The models and predictions
        equal those of an uninterrupted training.
    overwrite
        Replace a training in folds that exists. It is emptied only after all inputs are checked.

    Raises
    ------
    InputError
        As `danq.train` and `danq.datasets.fold_groups.group_windows`; when the number of folds, or
        validation or test contigs, are not given as described; when a group has no positive window;
        when several devices are to be used; or when a training is resumed with other data, folds or
        settings.
    TrainingDiverged
        As `danq.train`.

    Examples
    --------
    >>> danq.train_folds(  # doctest: +SKIP
    ...     danq.Folds("yeast.h5", 5, hold_out="chrIV"), out="runs/folds"
    ... )
    >>> danq.predict(danq.load_ensemble("runs/folds"), "ACGT" * 125)  # doctest: +SKIP
    """
    directory = Path(out)
    resume, overwrite = continued(directory, resume, overwrite)
    if resume and config is None:
        config = stored_config(directory)
    data = data or Folds()
    settings = merge_config(config, model, recipe, run)
    settings = _resolved(replace(settings, folds=settings.folds.replaced(data.settings)))
    source = data_settings(settings.data, data.data)
    _check_settings(settings, source)
    with FoldsDirectory(directory, resume=resume, overwrite=overwrite) as folder:
        dataset = data.data if isinstance(data.data, Dataset) else None
        if dataset is None:
            dataset = open_or_label(
                directory, source.table, resume=folder.resuming, label=label_undivided
            )
        groups = _groups(dataset, settings)
        for fold in range(groups.number):
            _check_fold(settings, groups, fold, resuming=folder.resuming)
        if not folder.resuming:
            _report_groups(groups)
        groups = replace(groups, dataset=folder.prepare(settings, source.table, groups))
        leaked = np.zeros(len(groups.dataset), np.uint8)
        results = []
        for fold in counted(range(groups.number), "training folds", "folds"):
            log.info("fold %d of %d", fold + 1, groups.number)
            own = fold_dataset(groups, fold)
            results.append(_train_fold(own, settings, directory, fold))
            if settings.run.evaluate:
                rows = groups.rows(fold)[groups.separate[groups.rows(fold)]]
                leaked[rows] = own.leaked[own.indices("test")]
        reports = _finish(groups, settings.run, directory, leaked)
        return FoldsResult(
            directory=directory,
            folds=tuple(results),
            report=reports[0],
            held_out_report=reports[1],
        )


def uses_folds(folds: Folds, out: str | Path, config: str | Path | None, *, resume: bool) -> bool:
    """Whether a call is a training in folds: by its arguments, its configuration or its directory.

    Raises
    ------
    InputError
        When the configuration cannot be read.
    """
    if folds.settings.given() or (resume and is_run(Path(out), KIND)):
        return True
    return config is not None and read_config(config).folds.number is not None


def _resolved(settings: RunConfig) -> RunConfig:
    """The settings with those of this machine, so that all folds are computed alike."""
    run = settings.run
    device = resolve_device(run.device)
    update = {
        "precision": resolve_precision(run.precision, device),
        "threads": set_threads(run.threads),
    }
    return replace(settings, run=run.model_copy(update=update))


def _check_settings(settings: RunConfig, source: DataSettings) -> None:
    folds = settings.folds
    if folds.number is None:
        raise InputError(
            "contigs are to be held out of folds, but the number of folds is not set"
            if folds.hold_out
            else "the number of folds is not set",
            remedy="Set the number of folds",
        )
    for name in ("valid", "test"):
        if name in source.table:
            raise InputError(
                f"folds were asked for, and contigs of one split were named ({name} = "
                f"{source.table[name]}), but each group of contigs is tested and validated once",
                remedy="Leave one of the two out, or hold the contigs out of all folds",
            )
    if find_layout(settings.run).world > 1:
        raise InputError(
            "folds are trained one after the other on one device",
            remedy="Use one process, one device and one node",
        )


def _groups(dataset: Dataset, settings: RunConfig) -> FoldGroups:
    folds = settings.folds
    assert folds.number is not None
    prediction_layout(dataset)
    return group_windows(dataset, folds.number, folds.hold_out, seed=settings.run.seed)


def _check_fold(settings: RunConfig, groups: FoldGroups, fold: int, *, resuming: bool) -> None:
    """Check that the model of a fold can be trained, before anything is written."""
    if groups.dataset.peaks.size and not groups.positives[fold].any():
        raise InputError(
            f"none of the {groups.windows[fold]:,} windows of group {fold + 1} is positive for "
            "any track",
            file=groups.dataset.path,
            remedy="Use fewer folds",
        )
    try:
        # Without weights: those of a model to start from decide about its layers.
        own = resuming or "pretrained" in settings.model.table
        dataset = fold_dataset(groups, fold)
        check_training(suited(settings, dataset), dataset, resuming=own)
    except InputError as error:
        raise InputError(
            f"fold {fold + 1}: {error.problem}", file=error.file, remedy=error.remedy
        ) from error


def _report_groups(groups: FoldGroups) -> None:
    """Log what is in each group, and what is decided about it."""
    dataset = groups.dataset
    for line in groups.describe():
        log.info(line)
    if len(np.unique(dataset.split)) > 1:
        log.info("the splits of the dataset are not used: its windows are in groups instead")
    if not isinstance(dataset.build.get("negatives", "keep"), str):
        log.warning(
            "%s: negative windows were dropped from its training split alone (negatives = %s), so "
            "metrics of different groups do not compare",
            dataset.path or "the dataset",
            dataset.build["negatives"],
        )
    everywhere = groups.positives.sum(axis=0) > 0
    missing = (groups.positives == 0) & everywhere
    if missing.any():
        cases = [
            f"{dataset.tracks[track]} in group {group + 1}"
            for track, group in zip(*np.nonzero(missing.T), strict=True)
        ]
        log.warning(
            "%d of %d tracks have no positive window in a group (%s). The metrics of that fold, "
            "and the selection of the model that it validates, leave these tracks out; the metrics "
            "of all out-of-fold predictions count them.",
            int(missing.any(axis=0).sum()),
            dataset.peaks.size,
            few(cases, 10),
        )
    if dataset.standalone:
        fold = partial(fold_dataset, groups)
        report_similar_in_folds(dataset, fold, groups.number, constant_ends(dataset))


def _train_fold(
    dataset: Dataset, settings: RunConfig, directory: Path, fold: int
) -> TrainingResult:
    folds = settings.folds.replaced(FoldSettings(fold=fold + 1))
    own = replace(settings, data=DataSettings(), folds=folds)
    return train(dataset, out=directory / fold_name(fold), config=own, resume=True)


def _finish(
    groups: FoldGroups, run: RunSettings, directory: Path, leaked: np.ndarray
) -> tuple[Report | None, Report | None]:
    """Write predictions, evaluations and the list of the models; the last completes the run."""
    # As for every other prediction: amounts are not rounded to bfloat16.
    precision = run.precision if groups.dataset.measured is None else "auto"
    options = {"device": str(resolve_device(run.device)), "precision": precision}
    names = [f"{fold_name(fold)}/{RUN_MODEL}" for fold in range(groups.number)]
    models = [load_model(directory / name, **options) for name in names]
    log.info("predicting the windows of each group with the model of its fold")
    found = OutOfFold.of(groups, models, names)
    found.write(directory / OUT_OF_FOLD)
    reports: tuple[Report | None, Report | None] = (None, None)
    if run.evaluate:
        reports = found.report(leaked), found.report_held_out()
        for report, name in zip(reports, (EVALUATION, HELD_OUT_EVALUATION), strict=True):
            if report is not None:
                write_evaluation(report, directory / name, overwrite=True)
    write_ensemble(directory, names)
    return reports
