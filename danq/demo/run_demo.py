"""Simulate, build, train, evaluate, predict and score variants, one after the other."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from danq.datasets.build import build_dataset
from danq.datasets.dataset import Dataset
from danq.datasets.label_options import LabelOptions
from danq.demo.demo_report import PARTS, DemoReport
from danq.demo.variant_effects import compare_effects, score_variants, write_effects
from danq.evaluation.metrics import average_precision
from danq.inference.evaluation.evaluate import write_evaluation
from danq.inference.prediction.predict import write_predictions
from danq.inference.sources import Tiles
from danq.models import load_model
from danq.output import check_folder, replacing
from danq.simulation.simulator import Truth, simulate
from danq.training.train import train

log = logging.getLogger("danq")

# Three rounds of 10,000 windows: a fourth brings nothing on the validation contig.
RECIPE = {"epochs": 3, "batch_size": 128, "averaging": 0.98}
REPLICATES = 200
"""Bootstrap draws of the evaluation."""


def demo(
    out: str | Path,
    *,
    seed: int = 1,
    genome_size: int = 3_000_000,
    variants: int = 400,
    model_changes: Mapping[str, Any] | None = None,
    recipe_changes: Mapping[str, Any] | None = None,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    overwrite: bool = False,
) -> DemoReport:
    """Simulate, build, train, evaluate, predict and score variants.

    Parameters
    ----------
    out
        Folder to make; ``PARTS`` lists what it gets.
    seed
        Decides the genome, its peaks and the training.
    genome_size
        Bases to simulate, on 6 contigs: four to train on, one to choose the best epoch by,
        one held out.
    variants
        Variants to score.
    model_changes, recipe_changes
        Numbers that differ from ``danq-small``, and choices that differ from ``RECIPE``.
    device, precision, threads
        As `danq.device` resolves them.
    overwrite
        Replace what an earlier demo wrote there.

    Returns
    -------
    DemoReport
        Figures, also written to ``summary.json``.

    Raises
    ------
    InputError
        When ``out`` is there, not empty and ``overwrite`` is false; when it or a part of it
        cannot be written or is not the demo's; and when a number cannot be used.
    """
    folder = Path(out)
    check_folder(folder, overwrite, objection=_objection, parents=True)
    folder.mkdir(parents=True, exist_ok=True)
    seconds: dict[str, float] = {}
    running: dict[str, Any] = {"device": device, "precision": precision}
    with _timed("simulate", seconds):
        truth = simulate(
            folder / "simulation",
            seed=seed,
            genome_size=genome_size,
            variants=variants,
            overwrite=overwrite,
        )
    with _timed("build", seconds):
        dataset = _build(folder, truth, overwrite)
    with _timed("train", seconds):
        train(
            dataset,
            out=folder / "run",
            model="danq-small",
            model_changes=model_changes,
            recipe_changes=RECIPE | dict(recipe_changes or {}),
            seed=seed,
            threads=threads,
            overwrite=overwrite,
            evaluate=False,
            **running,
        )
    report = _judge(folder, truth, dataset, seed, running, overwrite, seconds)
    with replacing(folder / "summary.json", overwrite) as temporary:
        temporary.write_text(json.dumps(report.to_dict(), indent=1) + "\n", encoding="utf-8")
    return report


def ceilings(truth: Truth, dataset: Dataset, split: str = "test") -> dict[str, float]:
    """Average precision that the true probabilities reach on a split, by track.

    No model can do better but by luck: peaks that noise made, and sites that were bound or not
    by chance, cannot be told from the sequence.

    Parameters
    ----------
    truth
        Truth of the simulation that the data set was built from.
    dataset
        Its windows.
    split
        ``"train"``, ``"valid"`` or ``"test"``.

    Returns
    -------
    dict
        Track to average precision; NaN where it has no positive.
    """
    indices = dataset.indices(split)
    order = [truth.tracks.index(track) for track in dataset.tracks]
    scores = truth.probability(dataset.codes(indices))[:, order].astype(np.float32)
    values = average_precision(scores, dataset.labels(indices))
    return dict(zip(dataset.tracks, values.tolist(), strict=True))


def _build(folder: Path, truth: Truth, overwrite: bool) -> Dataset:
    model = truth.model
    build_dataset(
        folder / "dataset.h5",
        folder / "simulation" / "genome.fa",
        folder / "simulation" / "tracks",
        window=model.window,
        valid=truth.valid,
        test=truth.test,
        options=LabelOptions(bin=model.bin, min_overlap=model.min_overlap),
        overwrite=overwrite,
    )
    return Dataset.open(folder / "dataset.h5")


def _judge(
    folder: Path,
    truth: Truth,
    dataset: Dataset,
    seed: int,
    running: dict[str, Any],
    overwrite: bool,
    seconds: dict[str, float],
) -> DemoReport:
    """Use the trained model in every way, and hold it against the truth."""
    model = load_model(folder / "run", **running)
    fasta = folder / "simulation" / "genome.fa"
    with _timed("evaluate", seconds):
        measured = write_evaluation(
            model,
            dataset,
            folder / "evaluation",
            bootstrap=REPLICATES,
            seed=seed,
            overwrite=overwrite,
        )
        ceiling = ceilings(truth, dataset)
    with _timed("predict", seconds):
        write_predictions(
            model,
            Tiles(fasta, truth.model.bin, truth.test[0]),
            folder / "predictions.tsv.gz",
            overwrite=overwrite,
        )
    with _timed("score variants", seconds):
        effects = score_variants(model, truth, fasta)
        write_effects(folder / "variants.tsv", truth, model.spec.tracks, effects, overwrite)
    found = zip(measured.table["track"], measured.table["aupr"], strict=True)
    rates = dataset.labels(dataset.indices("test")).mean(axis=0)
    return DemoReport(
        folder=folder,
        tracks=dataset.tracks,
        aupr={track: math.nan if value is None else value for track, value in found},
        ceiling=ceiling,
        base_rate=dict(zip(dataset.tracks, rates.tolist(), strict=True)),
        variants=compare_effects(truth, model.spec.tracks, effects),
        seconds=seconds,
    )


def _objection(folder: Path) -> str | None:
    strange = sorted(path.name for path in folder.iterdir() if path.name not in PARTS)
    return f"holds {strange[0]}, which is not of the demo" if strange else None


@contextmanager
def _timed(step: str, seconds: dict[str, float]) -> Iterator[None]:
    log.info("demo: %s", step)
    started = time.perf_counter()
    yield
    seconds[step] = time.perf_counter() - started
