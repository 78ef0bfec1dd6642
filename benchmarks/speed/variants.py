"""Variant effects: `danq.write_variant_scores` on 10,000 SNVs against full evaluation.

The SNVs are in a random genome. They are scored on one strand at tolerance 0; all tracks and
scores are written to HDF5 or Parquet. The full evaluation predicts the reference and alternate
windows of a fifth of the SNVs, and its time is scaled up.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.harness.reference_model import (
    QUICK,
    ModelSize,
    danq_model,
    matched_models,
    random_codes,
)
from benchmarks.harness.timing import Measurement, speedup, summarise, time_alternately
from danq.device import Precision
from danq.genome.nucleotide_codes import decode
from danq.inference.engine.forward import predict_codes
from danq.inference.engine.incremental import Incremental
from danq.inference.variants.score import write_variant_scores
from danq.models import load_model, save_model
from danq.models.run_options import RunOptions

FULL_TARGETS: dict[Precision, float | None] = {"fp32": 1.25, "bf16": None}
SELENE = 141.0
"""Variants per second of Selene 0.6.0, one strand, 919 tracks, on a similar machine."""
SELENE_TARGETS: dict[Precision, float] = {"fp32": 2.3, "bf16": 4.5}
FRACTION = 5


def measure(*, quick: bool = False, repeats: int = 3) -> list[Measurement]:
    """Speed-up over full evaluation and Selene, and the time spent outside the model."""
    size, count = (QUICK, 40) if quick else (ModelSize(), 10_000)
    module = matched_models(size, dropout=False)[1]
    windows = random_codes(size, 2 * count // FRACTION, unknown=0)
    outside_model: dict[str, list[float]] = {"HDF5": [], "Parquet": []}
    writing: dict[str, list[float]] = {"HDF5": [], "Parquet": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_model(folder / "model.safetensors", module, danq_model(size, module).spec)
        write_snvs(folder, count, size.length)

        def score(precision: Precision, kind: str) -> None:
            with model_time() as seconds:
                options = {"device": "cpu", "strand": "forward", "tolerance": 0.0}
                summary = write_variant_scores(
                    load_model(folder / "model.safetensors", precision=precision, **options),
                    folder / "snvs.vcf",
                    folder / "genome.fa",
                    folder / f"scores-{precision}.{'h5' if kind == 'HDF5' else 'parquet'}",
                    overwrite=True,
                )
            if precision == "bf16":
                outside_model[kind].append(100 * (1 - seconds["model"] / seconds["all"]))
                writing[kind].append(100 * summary.seconds["write"] / seconds["all"])

        def full(precision: Precision) -> None:
            predict_codes(module, windows, RunOptions("cpu", precision, strand="forward"))

        seconds = time_alternately(
            {
                **{f"full {name}": lambda name=name: full(name) for name in FULL_TARGETS},
                **{name: lambda name=name: score(name, "HDF5") for name in FULL_TARGETS},
                "Parquet": lambda: score("bf16", "Parquet"),
            },
            min(repeats, 3),
        )
    rows = []
    for name, target in FULL_TARGETS.items():
        own = seconds[name]
        scaled = [FRACTION * one for one in seconds[f"full {name}"]]
        speeds = [count / one for one in own]
        rows += [
            speedup(
                f"{name} against full evaluation in {name}",
                scaled,
                own,
                target=target,
                details={"all_seconds": own, "full_evaluation_seconds": scaled},
            ),
            summarise(
                f"{name} against Selene's {SELENE:.0f} variants/s",
                [speed / SELENE for speed in speeds],
                "x",
                target=SELENE_TARGETS[name],
                details={"variants_per_second": float(np.median(speeds))},
            ),
        ]
    for what, shares, target in (
        ("writing", writing, 15.0),
        ("time outside the model", outside_model, None),
    ):
        rows += [
            summarise(f"bf16 to {kind}, {what}", values, "%", target=target, at_most=True)
            for kind, values in shares.items()
        ]
    return rows


@contextmanager
def model_time() -> Iterator[dict[str, float]]:
    """Seconds spent in this context ("all") and in the model ("model")."""
    seconds = {"model": 0.0, "all": 0.0}
    logits = Incremental.logits

    def timed_logits(self, *arguments):  # type: ignore[no-untyped-def]
        start = time.perf_counter()
        result = logits(self, *arguments)
        seconds["model"] += time.perf_counter() - start
        return result

    Incremental.logits = timed_logits  # type: ignore[method-assign]
    start = time.perf_counter()
    try:
        yield seconds
    finally:
        seconds["all"] = time.perf_counter() - start
        Incremental.logits = logits  # type: ignore[method-assign]


def write_snvs(folder: Path, count: int, window: int, seed: int = 0) -> None:
    """Write a random genome with one contig, and sorted SNVs away from its ends."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, 100 * count + 4 * window, dtype=np.uint8)
    (folder / "genome.fa").write_text(f">chr1\n{decode(codes)}\n")
    positions = np.sort(rng.choice(len(codes) - 4 * window, count, replace=False)) + 2 * window
    alternates = (codes[positions] + rng.integers(1, 4, count)) % 4
    with (folder / "snvs.vcf").open("w") as file:
        file.write(f"##fileformat=VCFv4.2\n##contig=<ID=chr1,length={len(codes)}>\n")
        file.write("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
        for position, alternate in zip(positions, alternates, strict=True):
            ref, alt = "ACGT"[codes[position]], "ACGT"[alternate]
            file.write(f"chr1\t{position + 1}\t.\t{ref}\t{alt}\t.\t.\t.\n")
