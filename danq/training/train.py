"""From labelled windows, or a genome and peak files, to a run directory with a trained model."""

from __future__ import annotations

import logging
from pathlib import Path

import torch

from danq._version import __version__
from danq.core import CnnRnn
from danq.datasets.column_summary import ColumnSummary
from danq.datasets.dataset import Dataset
from danq.errors import InputError
from danq.genome.motif_files import write_meme
from danq.models import (
    ModelSpec,
    TargetGroup,
    build_module,
    set_initial_outputs,
)
from danq.models.targets import initial_outputs
from danq.models.training_record import SPLITS
from danq.training.amount_problem import AmountProblem
from danq.training.amount_targets import check_amounts, target_groups
from danq.training.config import (
    PRETRAINED,
    DataSettings,
    FoldSettings,
    ModelSettings,
    RunConfig,
    RunSettings,
    data_settings,
    merge_config,
)
from danq.training.evaluate_run import evaluate_test_split
from danq.training.initial_weights import check_motif_file, initialise
from danq.training.pretrained import Pretrained, Start, open_pretrained
from danq.training.pretraining_leaks import report_leaks
from danq.training.processes import one_voice, training_processes
from danq.training.recipe import Recipe
from danq.training.restarts import continued, stored_config
from danq.training.run_card import with_card
from danq.training.run_directory import DATASET, open_or_label
from danq.training.segment_problem import SegmentProblem, check_segments, segment_module
from danq.training.session import Session, TrainingResult
from danq.training.split_regions import split_regions
from danq.training.suited_settings import check_hyperparameters, masking_padding, suited
from danq.training.temperature_scaling import scale_by_temperature
from danq.training.window_problem import WindowProblem

INITIAL_MOTIFS = "initial_motifs.meme"

log = logging.getLogger("danq")

Targets = tuple[ColumnSummary | None, tuple[TargetGroup, ...]]
"""Measured values of the training split, and the groups of tracks that follow from them."""


def train(
    data: str | Path | Dataset | DataSettings | None = None,
    *,
    out: str | Path,
    config: str | Path | RunConfig | None = None,
    model: str | ModelSettings | None = None,
    recipe: str | Recipe | None = None,
    run: RunSettings | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> TrainingResult:
    """Train a model.

    Parameters
    ----------
    data
        A dataset or its file; or settings to build a dataset from, which is then stored in the run
        directory. None takes the data of ``config``.
    out
        Run directory. It receives ``model.safetensors`` (best epoch, with a temperature that is
        fitted to the validation split, see `danq.evaluation.temperature`), ``last.ckpt``,
        ``config.toml`` (every setting, resolved), ``metrics.csv``, ``initial_motifs.meme``,
        ``evaluation/`` (test split, if there is one), ``log.txt``, ``dataset.h5`` if the dataset
        was built here, and ``tensorboard/`` if TensorBoard is installed (extra ``tensorboard``).
    config
        A run configuration or its TOML file. Values given to the parameters below take precedence.
    model
        Name of a preset, or a preset with changed hyperparameters. By default "danq-mpra" for
        standalone sequences with amounts, and "danq-small" for all other data. With
        ``ModelSettings(pretrained=...)``, the training starts from the weights of another model and
        takes its hyperparameters. The table of the layers that are taken is logged and stored in
        ``pretrained.json``.
    recipe
        Name of a recipe ("default", "mpra" or "paper"), or a recipe with changed settings. By
        default "mpra" for the preset "danq-mpra", and "default" for all others.
    run
        Random seed, device, precision, threads, processes.
    resume
        Continue from ``last.ckpt``; the result equals that of an uninterrupted run. Settings come
        from the ``config.toml`` of the run directory unless ``config`` is given. A run without a
        checkpoint starts from the beginning; a finished run stays as it is. A training that
        torchrun or SLURM starts again resumes the run that it began.
    overwrite
        Replace a run directory that exists. It is emptied only after all inputs are checked.

    Raises
    ------
    InputError
        When an input cannot be used; when the run directory exists and neither ``resume`` nor
        ``overwrite`` is set; or when the training or validation split has no positive window.
    TrainingDiverged
        When the loss is not finite; the last good checkpoint is kept.
    Stopped
        When SIGUSR1 asked the training to stop, after a checkpoint.
    TrainingInterrupted
        When another process of the training ended before its end.

    Examples
    --------
    >>> import danq
    >>> danq.train("yeast.h5", out="runs/yeast")  # doctest: +SKIP
    >>> danq.train(
    ...     "yeast.h5",
    ...     out="runs/tcn",
    ...     model=danq.ModelSettings("danq", temporal="tcn"),
    ...     recipe=danq.Recipe(epochs=3),
    ...     run=danq.RunSettings(seed=1, device="cpu"),
    ... )  # doctest: +SKIP
    """
    directory = Path(out)
    with one_voice():
        resume, overwrite = continued(directory, resume, overwrite)
        if resume and config is None:
            config = stored_config(directory)
        settings = merge_config(config, model, recipe, run)
        _refuse_folds(settings.folds, data, directory)
        source = data_settings(settings.data, data)
        with (
            training_processes(settings.run, directory) as processes,
            Session(
                directory, settings.run, processes, resume=resume, overwrite=overwrite
            ) as session,
        ):
            before = open_pretrained(session, settings, model)
            given = data if isinstance(data, Dataset) else None
            return _train(session, settings, source, given, before)


def _train(
    session: Session,
    settings: RunConfig,
    source: DataSettings,
    given: Dataset | None,
    before: Pretrained | None,
) -> TrainingResult:
    """Train in one of the processes of a run."""
    processes, dataset, targets = session.processes, given, None
    if before is not None:
        settings = before.with_architecture(settings)
    check_hyperparameters(settings, source)
    if session.is_main:
        dataset, targets = _prepare(session, settings, source, given, before)
    processes.wait()
    if dataset is None:
        dataset = Dataset.open(source.table.get("file", session.directory / DATASET))
    settings = masking_padding(suited(settings, dataset), dataset)
    full_recipe = _resolved(settings.recipe, dataset)
    summary, groups = targets or _targets(settings, dataset)
    spec = _spec(settings, dataset, full_recipe, groups)
    start = None if before is None else before.start(spec)
    if start is not None:
        spec = start.in_header(spec)
    spec = with_card(spec, session.run.card, dataset.path, dataset.build.get("genome"))
    with session.recording("windows"):
        module = _initial_model(session, spec, dataset, full_recipe, summary, start)
        fit = session.fit(
            module,
            _problem(dataset, full_recipe, groups),
            full_recipe,
            spec,
            model={"preset": spec.preset, **spec.architecture.model_dump(mode="json")}
            | ({} if start is None else start.identity()),
            data_name=str(dataset.path or "the dataset"),
            taken=None if start is None else start.taken(module, full_recipe),
        )
    if session.is_main:
        scale_by_temperature(session, dataset)
    if session.is_main and settings.run.evaluate and len(dataset.indices("test")):
        evaluate_test_split(session, dataset)
    return session.result(fit)


def _prepare(
    session: Session,
    settings: RunConfig,
    source: DataSettings,
    given: Dataset | None,
    before: Pretrained | None,
) -> tuple[Dataset, Targets]:
    """Check all inputs, then prepare the run directory.

    Returns the dataset, stored in a file if built, and its `_targets`.
    """
    directory = session.directory
    dataset = given
    if dataset is None:
        dataset = open_or_label(directory, source.table, resume=session.resume)
    usual, settings = settings.model.preset, masking_padding(suited(settings, dataset), dataset)
    if settings.model.preset != usual and not session.resuming:
        log.info(
            "sequences with amounts: the model is %s and the recipe %s, unless others are named",
            settings.model.preset,
            settings.recipe.base,
        )
    if settings.model.architecture.masks_padding:
        log.info("sequences have unequal lengths; their padding is masked")
    targets = check_training(settings, dataset, resuming=session.resuming)
    recipe = _resolved(settings.recipe, dataset)
    spec = _spec(settings, dataset, recipe, targets[1])
    start = None if before is None else before.start(spec)
    if start is not None and not session.resuming:
        start.check(recipe, spec.architecture)
        start.report(recipe, spec)
        report_leaks(dataset, start.records, start.file)
    architecture = settings.model.architecture.model_dump(mode="json")
    named = {n: settings.model.table[n] for n in (PRETRAINED,) if n in settings.model.table}
    tables = {
        "data": source.table,
        "model": {"preset": settings.model.preset} | named | architecture,
        "recipe": recipe.model_dump(mode="json"),
    }
    if settings.folds.given():
        tables["folds"] = settings.folds.given()
    session.prepare(tables, dataset.path, dataset.sha256)
    if start is not None and not session.resuming:
        start.write(directory)
    if given is None and dataset.path is None:
        dataset.save(directory / DATASET)
        dataset = Dataset.open(directory / DATASET)
    return dataset, targets


def check_training(settings: RunConfig, dataset: Dataset, *, resuming: bool = False) -> Targets:
    """Check that a model can be trained on a dataset, before any output is created.

    Parameters
    ----------
    settings
        Model and recipe.
    dataset
        Labelled windows.
    resuming
        Whether a checkpoint gives the weights, so that initial motifs are not read.

    Raises
    ------
    InputError
        As `train`.
    """
    for split in ("train", "valid"):
        if dataset.peaks.size and not dataset.positives(split).any():
            raise InputError(
                f"the {split} split has {len(dataset.indices(split))} windows, none is positive",
                file=dataset.path,
                remedy="Build the dataset with other validation and test chromosomes",
            )
    summary, groups = _targets(settings, dataset)
    _resolved(settings.recipe, dataset)
    if not resuming:
        check_motif_file(settings.recipe)
        with torch.device("meta"):  # without memory: checks that the window is long enough
            module = build_module(
                settings.model.architecture, len(dataset.tracks), dataset.window, groups
            )
            if settings.recipe.segment_bins > 1:
                check_segments(module, dataset, settings.recipe, groups)
    return summary, groups


def _refuse_folds(
    folds: FoldSettings, data: str | Path | Dataset | DataSettings | None, directory: Path
) -> None:
    if folds.number is None or (folds.fold and isinstance(data, Dataset)):
        return
    if folds.fold:
        raise InputError(
            f"is the run of fold {folds.fold} of a training in folds",
            file=directory,
            remedy=f"Resume the training in folds: {directory.parent}",
        )
    raise InputError(
        "the configuration has a section [folds], but danq.train trains one model",
        remedy="Use danq.train_folds, or leave the section out",
    )


def _resolved(recipe: Recipe, dataset: Dataset) -> Recipe:
    windows = len(dataset.indices("train"))
    if recipe.segment_bins > 1:
        windows = windows * dataset.stride // recipe.segment_spacing
    kinds = [group.kind for group in dataset.targets]
    return recipe.resolved(windows, kinds, oriented=dataset.oriented)


def _targets(settings: RunConfig, dataset: Dataset) -> Targets:
    """Values and groups of a dataset with amounts or weights; nothing for peaks alone."""
    if dataset.measured is None and dataset.values.weights is None:
        return None, ()
    summary = check_amounts(dataset)
    return summary, target_groups(dataset, settings.recipe, settings.model.preset, summary)


def _problem(
    dataset: Dataset, recipe: Recipe, groups: tuple[TargetGroup, ...]
) -> AmountProblem | SegmentProblem | WindowProblem:
    if groups:
        return AmountProblem(dataset, recipe, groups)
    return (SegmentProblem if recipe.segment_bins > 1 else WindowProblem)(dataset, recipe)


def _initial_model(
    session: Session,
    spec: ModelSpec,
    dataset: Dataset,
    recipe: Recipe,
    summary: ColumnSummary | None,
    start: Start | None,
) -> CnnRnn:
    """A new model; with initial weights unless a checkpoint will give it others."""
    seed = session.run.seed
    torch.manual_seed(seed)
    module = build_module(spec.architecture, len(dataset.tracks), dataset.window, spec.targets)
    # Other processes receive the weights of the first one.
    if session.is_main and not session.resuming:
        own = recipe if start is None else start.without_taken(recipe)
        motifs = initialise(module, spec.preset, dataset, own, seed)
        if recipe.base_rates and summary is not None:
            mean, deviation = (
                torch.from_numpy(one).float() for one in (summary.mean, summary.deviation)
            )
            set_initial_outputs(module, initial_outputs(mean, deviation, spec.targets))
        if start is not None:
            start.copy_into(module)
        if motifs:
            write_meme(session.directory / INITIAL_MOTIFS, motifs, overwrite=True)
    return segment_module(module, recipe) if recipe.segment_bins > 1 else module


def _spec(
    settings: RunConfig, dataset: Dataset, recipe: Recipe, targets: tuple[TargetGroup, ...]
) -> ModelSpec:
    splits = split_regions(dataset)
    training = {"recipe": recipe.model_dump(), "seed": settings.run.seed}
    return ModelSpec(
        created_by=f"danq {__version__}",
        preset=settings.model.preset,
        architecture=settings.model.architecture,
        tracks=dataset.tracks,
        groups=dataset.groups,
        targets=targets,
        units=dataset.units,
        oriented=dataset.oriented,
        window=dataset.window,
        bin=dataset.bin,
        data_sha256=dataset.sha256,
        training=training
        if splits is None
        else training | {SPLITS: splits.model_dump(mode="json")},
    )
