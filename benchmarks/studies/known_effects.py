"""How well a model's effects of variants follow those that the simulator knows.

    python -m benchmarks.studies.known_effects OUT [--size 32000000] [--epochs 5]

Trains ``danq-small`` as ``danq demo`` does, but on a larger genome and for longer, into the folder
OUT, and ranks its variants: by the change of probability on the track that each was made for, or
the mean over all tracks where it was made for none. Known is the change of the probability that
the bin in which a variant stands is positive. With OUT there already, it is judged as it is.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import stats

import danq
from danq.demo.run_demo import demo
from danq.genome.fasta import Genome
from danq.models import Model, load_model
from danq.simulation.ground_truth import Truth, read_truth
from danq.simulation.simulated_variants import allele_windows

CHANGING = ("breaking", "releasing")


def main(argv: Sequence[str] | None = None) -> None:
    """Train where nothing is there, judge, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", type=int, default=32_000_000, help="bases of the genome")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int)
    given = parser.parse_args(argv)
    if not given.out.exists():
        report = demo(
            given.out,
            seed=given.seed,
            genome_size=given.size,
            recipe_changes={"epochs": given.epochs},
            threads=given.threads,
        )
        print(f"held-out AUPR {report.mean_aupr:.3f}, ceiling {report.mean_ceiling:.3f}")
    truth = read_truth(given.out / "simulation")
    known, predicted = both(
        load_model(given.out / "run"), truth, given.out / "simulation" / "genome.fa"
    )
    for name, value in judge(truth, known, predicted).items():
        print(f"{name:44} {value:8.4f}")


def both(model: Model, truth: Truth, fasta: Path) -> tuple[np.ndarray, np.ndarray]:
    """``(N,)`` known and predicted change of probability of each variant, as described above."""
    rows = [(one.contig, one.pos, one.ref, one.alt) for one in truth.variants]
    with Genome(fasta) as genome:
        windows = allele_windows(genome.pack(), rows, truth.model.window)
    reference, alternate = (truth.model.probability(codes) for codes in windows)
    table = danq.score_variants(
        model,
        [(*row, one.id) for row, one in zip(rows, truth.variants, strict=True)],
        fasta,
        scores=("diff",),
        center=model.spec.window // 2,
        precision="fp32",
    )
    tracks = list(truth.tracks)
    return (
        _own(truth, alternate - reference),
        _own(truth, table.select(tracks).to_numpy()),
    )


def judge(truth: Truth, known: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Rank correlations, signs, and sizes of what should be zero."""
    kinds = np.array([one.kind for one in truth.variants])
    changing = np.isin(kinds, CHANGING)
    figures = {
        "Spearman, all variants": _spearman(known, predicted),
        "Spearman, breaking or releasing": _spearman(known[changing], predicted[changing]),
        "signs right, breaking or releasing": float(
            np.mean(np.sign(known[changing]) == np.sign(predicted[changing]))
        ),
    }
    for kind in dict.fromkeys(kinds.tolist()):
        rows = kinds == kind
        figures[f"mean size, {kind} ({rows.sum()}), known"] = float(np.abs(known[rows]).mean())
        figures[f"mean size, {kind}, predicted"] = float(np.abs(predicted[rows]).mean())
    return figures


def _own(truth: Truth, values: np.ndarray) -> np.ndarray:
    tracks = list(truth.tracks)
    return np.array(
        [
            row[tracks.index(one.track)] if one.track else row.mean()
            for row, one in zip(values, truth.variants, strict=True)
        ]
    )


def _spearman(known: np.ndarray, predicted: np.ndarray) -> float:
    return float(stats.spearmanr(known, predicted)[0])  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
