"""Train a model and evaluate it on the test chromosome."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import polars as pl

from danq.datasets import Dataset
from danq.inference.evaluation.evaluate import evaluate
from danq.models import load_model
from danq.training import train
from danq.training.config import RunConfig

TRACKS = ("Reb1", "Abf1", "Sua7")
"""Yeast tracks whose AUPR is reported."""


def train_and_evaluate(
    data: Path, folder: Path, config: RunConfig, seed: int, *, baseline: bool = False
) -> tuple[dict[str, Any], pl.DataFrame]:
    """Train a model, or resume its run directory, and evaluate it.

    Returns
    -------
    tuple
        Mean AUPR and AUROC, the AUPR of `TRACKS`, the number of parameters and the training time;
        and the table of all tracks.
    """
    start = time.perf_counter()
    train(data, out=folder, config=config, seed=seed, resume=True, evaluate=False)
    seconds = time.perf_counter() - start
    model = load_model(folder)
    report = evaluate(model, Dataset.open(data), split="test", baseline=baseline)
    aupr = dict(zip(report.table["track"], report.table["aupr"], strict=True))
    metrics = {
        "aupr": report.macro_aupr,
        "auroc": report.macro_auroc,
        **{name: aupr[name] for name in TRACKS},
        "parameters": sum(p.numel() for p in model.module.parameters()),
        "seconds": round(seconds),
    }
    return metrics, report.table
