"""Simulate, build, train, evaluate, predict and score variants, one after the other."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from danq.datasets.build import build_dataset
from danq.datasets.dataset import Dataset
from danq.datasets.label_options import LabelOptions
from danq.demo.demo_report import OUTPUTS, DemoReport
from danq.demo.variant_effects import compare_effects, predicted_effects, write_effects
from danq.evaluation.metrics import average_precision
from danq.inference.evaluation.evaluate import evaluate
from danq.inference.evaluation.evaluation_folder import write_evaluation
from danq.inference.prediction.predict import write_predictions
from danq.inference.sources import Tiles
from danq.models import Model, load_model
from danq.models.run_options import RunOptions
from danq.output import check_folder, mark_folder, marked, replacing, write_errors
from danq.progress import stage
from danq.simulation.simulator import Truth, simulate
from danq.training import ModelSettings, Recipe, RunSettings, train
from danq.typing import Location

log = logging.getLogger("danq")

# Three epochs of 10,000 windows: a fourth does not improve the validation loss.
RECIPE = Recipe(epochs=3, batch_size=128, averaging=0.98)
KIND = "demo"
REPLICATES = 200
"""Bootstrap replicates of the evaluation."""


def run_demo(
    out: Location,
    *,
    seed: int = 1,
    genome_size: int = 3_000_000,
    variants: int = 400,
    model: ModelSettings | None = None,
    recipe: Recipe | None = None,
    options: RunOptions | None = None,
    overwrite: bool = False,
) -> DemoReport:
    """Run the full pipeline on a simulated genome and compare the results with the ground truth.

    Parameters
    ----------
    out
        Output directory; ``OUTPUTS`` lists its content.
    seed
        Random seed of the simulation and the training.
    genome_size
        Size of the genome in bases. It has 6 contigs: four for training, one for validation and
        one for testing.
    variants
        Number of variants to score.
    model
        Model to train; None for ``danq-small``.
    recipe
        Recipe of the training. Settings that it leaves out are those of ``RECIPE``.
    options
        Device, precision and threads of training and inference; None for the defaults.
    overwrite
        Whether to replace the output of an earlier demo.

    Returns
    -------
    DemoReport
        Metrics, which are also written to ``summary.json``.

    Raises
    ------
    InputError
        When ``out`` is not empty and ``overwrite`` is false, or holds files that the demo did not
        write; when a file cannot be written; or when a value is not allowed.
    """
    directory = Path(out)
    options = options or RunOptions()
    check_folder(directory, overwrite, objection=marked(KIND), parents=True)
    with write_errors(directory):
        directory.mkdir(parents=True, exist_ok=True)
        mark_folder(directory, KIND, OUTPUTS)
    seconds: dict[str, float] = {}
    with _timed("simulate", seconds):
        truth = simulate(
            directory / "simulation",
            seed=seed,
            genome_size=genome_size,
            variants=variants,
            overwrite=overwrite,
        )
    with _timed("build", seconds):
        dataset = _build(directory, truth, overwrite)
    with _timed("train", seconds):
        train(
            dataset,
            out=directory / "run",
            model=model or ModelSettings("danq-small"),
            recipe=RECIPE.replaced(recipe or Recipe()),
            run=RunSettings(
                seed=seed,
                device=options.device,
                precision=options.resolved_precision,
                threads=options.threads,
                evaluate=False,
            ),
            overwrite=overwrite,
        )
    trained = load_model(directory / "run", **vars(options))
    report = _use(trained, directory, truth, dataset, seed, overwrite, seconds)
    with replacing(directory / "summary.json", overwrite) as temporary:
        temporary.write_text(json.dumps(report.to_dict(), indent=1) + "\n", encoding="utf-8")
    return report


def maximum_aupr(truth: Truth, dataset: Dataset, split: str = "test") -> dict[str, float]:
    """AUPR (average precision) of the true probabilities on a split, by track.

    It is the maximum that a model can be expected to achieve: the sequence determines neither
    which sites are bound in the simulated experiment nor which peaks are noise.

    Parameters
    ----------
    truth
        Ground truth of the simulation that the dataset was built from.
    dataset
        Labelled windows.
    split
        ``"train"``, ``"valid"`` or ``"test"``.

    Returns
    -------
    dict
        AUPR by track; NaN for tracks without positive windows.
    """
    indices = dataset.indices(split)
    order = [truth.tracks.index(track) for track in dataset.tracks]
    scores = truth.probability(dataset.codes(indices))[:, order].astype(np.float32)
    values = average_precision(scores, dataset.labels(indices))
    return dict(zip(dataset.tracks, values.tolist(), strict=True))


def _build(directory: Path, truth: Truth, overwrite: bool) -> Dataset:
    model = truth.model
    build_dataset(
        directory / "dataset.h5",
        directory / "simulation" / "genome.fa",
        directory / "simulation" / "tracks",
        window=model.window,
        valid=truth.valid,
        test=truth.test,
        options=LabelOptions(bin=model.bin, min_overlap=model.min_overlap),
        overwrite=overwrite,
    )
    return Dataset.open(directory / "dataset.h5")


def _use(
    model: Model,
    directory: Path,
    truth: Truth,
    dataset: Dataset,
    seed: int,
    overwrite: bool,
    seconds: dict[str, float],
) -> DemoReport:
    """Evaluate the model, predict along the test contig and score the variants."""
    fasta = directory / "simulation" / "genome.fa"
    with _timed("evaluate", seconds):
        evaluation = evaluate(model, dataset, bootstrap=REPLICATES, seed=seed)
        write_evaluation(evaluation, directory / "evaluation", overwrite=overwrite)
        max_aupr = maximum_aupr(truth, dataset)
    with _timed("predict", seconds):
        write_predictions(
            model,
            Tiles(fasta, truth.model.bin, truth.test[0]),
            directory / "predictions.tsv.gz",
            overwrite=overwrite,
        )
    with _timed("score variants", seconds):
        effects = predicted_effects(model, truth, fasta)
        write_effects(directory / "variants.tsv", truth, model.tracks, effects, overwrite)
    aupr = zip(evaluation.table["track"], evaluation.table["aupr"], strict=True)
    base_rate = dataset.labels(dataset.indices("test")).mean(axis=0)
    return DemoReport(
        directory=directory,
        tracks=dataset.tracks,
        aupr={track: math.nan if value is None else value for track, value in aupr},
        max_aupr=max_aupr,
        base_rate=dict(zip(dataset.tracks, base_rate.tolist(), strict=True)),
        variants=compare_effects(truth, model.tracks, effects),
        seconds=seconds,
    )


@contextmanager
def _timed(step: str, seconds: dict[str, float]) -> Iterator[None]:
    log.info("demo: %s", step)
    started = time.perf_counter()
    with stage(f"demo: {step}"):
        yield
    seconds[step] = time.perf_counter() - started
