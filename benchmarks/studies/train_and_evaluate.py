"""Train danq-small in several configurations and evaluate each on the test chromosome."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from danq.datasets import Dataset
from danq.inference.evaluation.evaluate import evaluate
from danq.models import load_model
from danq.training import RunConfig, RunSettings, train

TRACKS = ("Reb1", "Abf1", "Sua7")
"""Yeast tracks whose AUPR is reported."""


def run_folder(out: Path, name: str, seed: int) -> Path:
    """Run directory of a configuration and seed."""
    return out / f"{name.lower().replace(', ', '-')}-seed{seed}"


def train_and_evaluate(
    data: Path,
    out: Path,
    configs: Mapping[str, RunConfig],
    seeds: Sequence[int],
    *,
    baseline: bool = False,
) -> dict[str, Any]:
    """Metrics of every configuration: one dictionary per seed, and the means.

    A run directory that exists is resumed. With ``baseline``, the linear model is evaluated too.
    """
    metrics: dict[str, Any] = {}
    for name, config in configs.items():
        runs = []
        for seed in seeds:
            folder = run_folder(out, name, seed)
            start = time.perf_counter()
            run = RunSettings(seed=seed, evaluate=False)
            train(data, out=folder, config=config, run=run, resume=True)
            seconds = time.perf_counter() - start
            model = load_model(folder)
            report = evaluate(model, Dataset.open(data), split="test", baseline=baseline)
            aupr = dict(zip(report.table["track"], report.table["aupr"], strict=True))
            values: dict[str, Any] = {
                "aupr": report.macro_aupr,
                "auroc": report.macro_auroc,
                **{track: aupr[track] for track in TRACKS},
                "parameters": sum(p.numel() for p in model.module.parameters()),
                "seconds": round(seconds),
            }
            if baseline:
                worse = report.table.filter(pl.col("aupr") < pl.col("baseline_aupr"))
                values["baseline_aupr"] = report.table["baseline_aupr"].mean()
                values["tracks_below_baseline"] = worse["track"].to_list()
            print(f"{name}, seed {seed}:", values, flush=True)
            runs.append(values)
        means = {key: statistics.fmean(run[key] for run in runs) for key in list(runs[0])[:5]}
        metrics[name] = {"seeds": dict(zip(seeds, runs, strict=True)), "mean": means}
        print(f"{name}, mean:", {key: round(value, 4) for key, value in means.items()})
    return metrics
