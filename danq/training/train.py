"""From labelled windows, or a genome and peak files, to a run folder with a trained model."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric

from danq._memory import kept_memory
from danq._version import __version__
from danq.datasets.dataset import Dataset
from danq.device import resolve_device, resolve_precision, set_threads
from danq.errors import InputError
from danq.genome.motif_files import write_meme
from danq.inference.evaluation.evaluate import write_evaluation
from danq.models import (
    Architecture,
    ModelSpec,
    build_module,
    load_model,
    save_model,
)
from danq.models.model_file import RUN_MODEL
from danq.provenance import Inputs, Provenance, settings_of
from danq.training.checkpoint import LAST, Progress
from danq.training.config import CONFIG, RunConfig, RunSettings, merged, placed, write_config
from danq.training.fabric import make_fabric
from danq.training.fit import Fit
from danq.training.initial_weights import check_motif_file, start
from danq.training.problem import Metrics
from danq.training.recipe import Recipe
from danq.training.run_folder import (
    DATASET,
    check_run_folder,
    find_windows,
    prepare_run_folder,
)
from danq.training.run_log import Journal, log
from danq.training.window_problem import Windows

SEEDS = "seeds.meme"
EVALUATION = "evaluation"


@dataclass(frozen=True)
class TrainingResult:
    """What a training run came to.

    Attributes
    ----------
    folder
        The run folder; ``danq.load(folder)`` gives the best model.
    best_epoch
        Epoch (from 1) whose weights were kept.
    epochs
        Epochs trained.
    seconds
        Training time, validation left out.
    waited
        Share of that time spent waiting for data.
    history
        One row of metrics per epoch, as in ``metrics.csv``.
    rank
        Number of this process among those of a distributed run; the first is 0.
    """

    folder: Path
    best_epoch: int
    epochs: int
    seconds: float
    waited: float
    history: list[dict[str, float]]
    rank: int = 0


def train(
    data: str | Path | Dataset | None = None,
    *,
    out: str | Path,
    genome: str | Path | None = None,
    tracks: str | Path | Sequence[str | Path] | None = None,
    data_options: Mapping[str, Any] | None = None,
    config: str | Path | RunConfig | None = None,
    model: str | None = None,
    model_changes: Mapping[str, Any] | None = None,
    recipe: str | None = None,
    recipe_changes: Mapping[str, Any] | None = None,
    seed: int | None = None,
    device: str | None = None,
    precision: str | None = None,
    devices: int | None = None,
    nodes: int | None = None,
    threads: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    evaluate: bool = True,
    checkpoint_steps: int | None = None,
) -> TrainingResult:
    """Train a model.

    Parameters
    ----------
    data
        A dataset or its file; None builds one into the run folder from ``genome`` and
        ``tracks`` with ``data_options``, which `danq.datasets.build_dataset` takes.
    out
        Run folder: ``model.safetensors`` (best), ``last.ckpt``, ``config.toml`` (resolved),
        ``metrics.csv``, ``seeds.meme``, ``evaluation/``, ``tensorboard/``, ``log.txt``, and
        ``dataset.h5`` if it was built here.
    genome, tracks
        FASTA, and peak files, their folder or their sheet.
    config
        A run configuration or its TOML file; what is given here goes before it.
    model, model_changes
        Name of a preset, and fields of `danq.models.Architecture` that differ from it.
    recipe, recipe_changes
        Name of a recipe ("default" or "paper"), and fields of `Recipe` that differ from it.
    seed
        Decides start values, data order, augmentation and dropout; 0 unless ``config`` says
        otherwise. On the CPU the same seed and number of threads give the same weights, bit for
        bit.
    device, precision, threads
        As `danq.device` resolves them. A resumed run takes the number of threads it began with
        unless told otherwise.
    devices, nodes
        Processes per node, and nodes (lightning's DDP); 1 unless ``config`` says otherwise.
    resume
        Go on from ``last.ckpt``, by the folder's own ``config.toml`` unless ``config`` is given;
        the result equals that of a run never stopped. A run folder without a checkpoint is
        trained from the start, a finished one is left as it is.
    overwrite
        Replace a run folder that exists. It is emptied only when all that was given can be used.
    evaluate
        Measure the best model on the test split, if there is one, into ``evaluation/``.
    checkpoint_steps
        Write a checkpoint every so many steps, besides every 5 minutes and at each epoch's end.

    Raises
    ------
    InputError
        When an input cannot be used, the run folder exists and neither ``resume`` nor
        ``overwrite`` is set, the training or validation split is empty, or no validation track
        has a positive window.
    TrainingDiverged
        When the loss is not finite; the last good checkpoint is kept.
    """
    folder = Path(out)
    if resume and config is None and (folder / CONFIG).is_file():
        config = folder / CONFIG
    settings = merged(
        config,
        model={"preset": model} | dict(model_changes or {}),
        training={"recipe": recipe} | dict(recipe_changes or {}),
        run={
            "seed": seed,
            "device": device,
            "precision": precision,
            "threads": threads,
            "devices": devices,
            "nodes": nodes,
        },
    )
    settings.architecture()  # refuses unknown numbers before anything is done
    where = resolve_device(settings.run.device)
    # Resolved here, so that a resumed run computes as it began.
    resolved = {
        "precision": resolve_precision(settings.run.precision, where),
        "threads": set_threads(settings.run.threads),
    }
    run = settings.run.model_copy(update=resolved)
    fabric = make_fabric(where, run)
    if not fabric.is_global_zero:
        log.setLevel(logging.WARNING)
    given = _given(settings, data, genome, tracks, data_options)
    dataset = data if isinstance(data, Dataset) else None
    resuming = resume and (folder / LAST).is_file()
    if fabric.is_global_zero:
        dataset = _enter(folder, dataset, given, settings, run, resume=resume, overwrite=overwrite)
    fabric.barrier()
    if dataset is None:
        dataset = Dataset.open(given.get("file", folder / DATASET))
    with kept_memory(), Journal(folder, active=fabric.is_global_zero) as journal:
        fit, spec = _begin(folder, dataset, settings, run, fabric, resuming, checkpoint_steps)
        measured = resuming and fit.progress.finished and (folder / EVALUATION).is_dir()
        for best in fit.run(journal):
            if fabric.is_global_zero:
                kept = _with_result(spec, best, fit.progress)
                save_model(folder / RUN_MODEL, fit.best_module, kept)
    if fabric.is_global_zero and evaluate and not measured and len(dataset.indices("test")):
        _measure(folder, dataset, str(fabric.device), run.precision)
    progress = fit.progress
    return TrainingResult(
        folder,
        progress.best_epoch,
        progress.epoch,
        progress.seconds,
        progress.waited / max(progress.seconds, 1e-9),
        progress.history,
        fabric.global_rank,
    )


def _begin(
    folder: Path,
    dataset: Dataset,
    settings: RunConfig,
    run: RunSettings,
    fabric: Fabric,
    resuming: bool,
    checkpoint_steps: int | None,
) -> tuple[Fit, ModelSpec]:
    """The training, where it begins or where it was left, and what its model file shall say."""
    numbers = settings.architecture()
    chosen = settings.recipe().settled(len(dataset.indices("train")))
    torch.manual_seed(run.seed)
    module = build_module(numbers, len(dataset.tracks), dataset.window)
    if not resuming:
        motifs = start(module, settings.preset, dataset, chosen, run.seed)
        if motifs and fabric.is_global_zero:
            write_meme(folder / SEEDS, motifs, overwrite=True)
    spec = _spec(settings.preset, numbers, dataset, chosen, run.seed)
    fit = Fit(
        module,
        Windows(dataset, chosen),
        chosen,
        folder,
        fabric,
        precision=run.precision,
        seed=run.seed,
        provenance=_provenance(spec, run, dataset),
        checkpoint_steps=checkpoint_steps,
    )
    if resuming:
        fit.resume()
        log.info("resuming at epoch %d, step %d", fit.progress.epoch + 1, fit.progress.step)
    return fit, spec


def _measure(folder: Path, dataset: Dataset, device: str, precision: str) -> None:
    """Measure the best model on the test split, into the run folder."""
    report = write_evaluation(
        load_model(folder, device=device, precision=precision),
        dataset,
        folder / EVALUATION,
        overwrite=True,
    )
    log.info(
        "test split: mean AUPR %.4f, mean AUROC %.4f; by track in %s",
        report.macro_aupr,
        report.macro_auroc,
        folder / EVALUATION,
    )


def _enter(
    folder: Path,
    data: Dataset | None,
    given: dict[str, Any],
    settings: RunConfig,
    run: RunSettings,
    *,
    resume: bool,
    overwrite: bool,
) -> Dataset:
    """Make the run folder ready, once all that was given is known to be of use."""
    check_run_folder(folder, resume=resume, overwrite=overwrite)
    resuming = resume and (folder / LAST).is_file()
    dataset = find_windows(folder, given, resume=resume) if data is None else data
    _check(dataset)
    if not resuming:
        check_motif_file(settings.recipe())
        with torch.device("meta"):  # without memory: whether the window suffices for the numbers
            build_module(settings.architecture(), len(dataset.tracks), dataset.window)
    prepare_run_folder(folder, dataset.path, resume=resume)
    if not resuming:
        write_config(folder, given, dataset, settings, run)
    if data is None and dataset.path is None:
        dataset.save(folder / DATASET)
        return Dataset.open(folder / DATASET)
    return dataset


def _given(
    settings: RunConfig,
    data: str | Path | Dataset | None,
    genome: str | Path | None,
    tracks: str | Path | Sequence[str | Path] | None,
    options: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """What to train on: the configuration's word, under what was given beside it."""
    if data is not None:
        if genome is not None or tracks is not None or options:
            raise InputError(
                "a dataset was given, and a genome, tracks or data options besides",
                remedy="Leave them out, or leave the dataset out and build one from them",
            )
        file = data.path if isinstance(data, Dataset) else data
        said = placed({"file": file}, Path.cwd())
        if settings.data and settings.data != said:
            log.warning(
                "A dataset was given, so [data] of the configuration is not used: %s.",
                ", ".join(f"{name} = {value}" for name, value in settings.data.items()),
            )
        return said
    said = placed({"genome": genome, "tracks": tracks, **(options or {})}, Path.cwd())
    told = {name: v for name, v in settings.data.items() if name != "file" or "genome" not in said}
    return {**told, **said}


def _check(dataset: Dataset) -> None:
    for split in ("train", "valid"):
        if not dataset.positives(split).any():
            raise InputError(
                f"the {split} split has {len(dataset.indices(split))} windows and no positive one",
                file=dataset.path,
                remedy="Build the dataset with other validation and test chromosomes",
            )


def _spec(
    preset: str, numbers: Architecture, dataset: Dataset, recipe: Recipe, seed: int
) -> ModelSpec:
    return ModelSpec(
        created_by=f"danq {__version__}",
        preset=preset,
        architecture=numbers,
        tracks=dataset.tracks,
        groups=dataset.groups,
        window=dataset.window,
        bin=dataset.bin,
        data_sha256=dataset.sha256,
        training={"recipe": recipe.model_dump(), "seed": seed},
    )


def _with_result(spec: ModelSpec, figures: Metrics, progress: Progress) -> ModelSpec:
    result = {"epoch": progress.best_epoch}
    result |= {f"valid_{name}": value for name, value in figures.items()}
    return spec.model_copy(update={"training": spec.training | result})


def _provenance(spec: ModelSpec, run: RunSettings, dataset: Dataset) -> Provenance:
    # Device and threads may change when a run resumes: they change results by rounding alone.
    settings = settings_of(
        model={"preset": spec.preset, **spec.architecture.model_dump(mode="json")},
        training=spec.training["recipe"],
        run=run.model_dump(exclude={"device", "threads"}),
    )
    name = str(dataset.path or "the dataset")
    return Provenance(
        settings={"danq": __version__, **settings},
        inputs={"dataset": Inputs((name,), (spec.data_sha256,))},
    )
