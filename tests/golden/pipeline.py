"""A small run from a simulated genome to variant effects, and the values that it gives.

    python tests/golden/pipeline.py     # writes tests/golden/values.json

After an intended change of results, rewrite the values and commit them with the change.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import danq
from danq.training import ModelSettings, Recipe, RunSettings

VALUES = Path(__file__).with_name("values.json")
TRACKS = ("CTCF", "GATA1", "REST")


def run_pipeline(folder: Path, *, threads: int = 1) -> dict[str, Any]:
    """Simulate, build, train, evaluate, predict and score variants; return the main values."""
    simulation = folder / "simulation"
    truth = danq.simulate(
        simulation, seed=7, genome_size=240_000, contigs=4, tracks=TRACKS, variants=60
    )
    genome = simulation / "genome.fa"
    danq.build_dataset(
        folder / "data.h5",
        genome,
        simulation / "tracks",
        window=truth.model.window,
        valid=truth.valid,
        test=truth.test,
        options=danq.LabelOptions(bin=truth.model.bin, min_overlap=truth.model.min_overlap),
    )
    dataset = danq.Dataset.open(folder / "data.h5")
    result = danq.train(
        dataset,
        out=folder / "run",
        model=ModelSettings("danq-small", filters=64, width=20, hidden=12, dense=(24,)),
        recipe=Recipe(epochs=6, batch_size=64, averaging=0.9),
        run=RunSettings(seed=3, device="cpu", precision="fp32", threads=threads, quiet=True),
    )
    model = danq.load(folder / "run", device="cpu", precision="fp32", threads=threads)
    report = danq.evaluate(model, dataset, bootstrap=100)
    tiles = danq.Tiles(genome, truth.model.bin, f"{truth.test[0]}:20001-24000")
    predictions = danq.predict(model, tiles).values
    effects = danq.score_variants(model, simulation / "variants.vcf", genome, scores=("logit",))
    row = report.groups.row(0, named=True)
    return {
        "genome_bases": sum(
            len(line) for line in genome.read_text().splitlines() if not line.startswith(">")
        ),
        "windows": {split: len(dataset.indices(split)) for split in ("train", "valid", "test")},
        "positives": dataset.positives("train").tolist(),
        "dataset_sha256": dataset.sha256,
        "best_epoch": result.best_epoch,
        "train_loss": [epoch["train_loss"] for epoch in result.history],
        "valid_loss": [epoch["valid_loss"] for epoch in result.history],
        "temperature": model.spec.temperature,
        "aupr": row["aupr_mean"],
        "auroc": row["auroc_mean"],
        "log_loss": report.summary()["log_loss"],
        "calibration_slope": report.summary()["calibration_slope"],
        "predictions": np.asarray(predictions, np.float64).tolist(),
        "effects": np.asarray(effects.values, np.float64).tolist(),
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        text = json.dumps(run_pipeline(Path(folder)), indent=1)
    VALUES.write_text(text + "\n", encoding="utf-8")
