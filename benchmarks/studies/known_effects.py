"""Compare a model's variant effects with the effects that the simulator knows.

    python -m benchmarks.studies.known_effects OUT [--size 32000000] [--epochs 5]

Trains ``danq-small`` as ``danq demo`` does, but on a larger genome and for more epochs, in the
folder OUT. If OUT exists, its model is evaluated. The effect of a variant is the change of
probability on the track that the variant was simulated for, or the mean over all tracks if it was
simulated for none. The known effect is the change of the probability that the variant's bin is
positive.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import stats

from benchmarks.harness.arguments import make_parser
from danq.demo import run_demo
from danq.genome.fasta import Genome
from danq.inference.variants.score import score_variants
from danq.inference.variants.variant_source import Variants
from danq.models import Model, load_model
from danq.models.run_options import RunOptions
from danq.simulation.ground_truth import Truth, read_truth
from danq.simulation.simulated_variants import allele_windows
from danq.training import Recipe

CHANGING = ("breaking", "releasing")


def main() -> None:
    """Train unless the folder exists, then print the comparison."""
    parser = make_parser(__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", type=int, default=32_000_000, help="bases of the genome")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int)
    args = parser.parse_args()
    if not args.out.exists():
        report = run_demo(
            args.out,
            seed=args.seed,
            genome_size=args.size,
            recipe=Recipe(epochs=args.epochs),
            options=RunOptions(threads=args.threads),
        )
        print(f"test AUPR {report.mean_aupr:.3f}, maximum {report.mean_max_aupr:.3f}")
    truth = read_truth(args.out / "simulation")
    known, predicted = effects(
        load_model(args.out / "run"), truth, args.out / "simulation" / "genome.fa"
    )
    for name, value in compare(truth, known, predicted).items():
        print(f"{name:44} {value:8.4f}")


def effects(model: Model, truth: Truth, fasta: Path) -> tuple[np.ndarray, np.ndarray]:
    """``(N,)`` known and predicted effect of each variant, as defined above."""
    rows = [(one.contig, one.pos, one.ref, one.alt) for one in truth.variants]
    with Genome(fasta) as genome:
        windows = allele_windows(genome.pack(), rows, truth.model.window)
    reference, alternate = (truth.model.probability(codes) for codes in windows)
    ids = [(*row, one.id) for row, one in zip(rows, truth.variants, strict=True)]
    result = score_variants(
        model.with_options(precision="fp32"),
        Variants(ids, center=model.window // 2),
        fasta,
        scores=("diff",),
    )
    tracks = list(truth.tracks)

    def own_track(values: np.ndarray) -> np.ndarray:
        pairs = zip(values, truth.variants, strict=True)
        return np.array(
            [row[tracks.index(one.track)] if one.track else row.mean() for row, one in pairs]
        )

    return own_track(alternate - reference), own_track(result.to_polars().select(tracks).to_numpy())


def compare(truth: Truth, known: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Rank correlations, agreement of signs, and mean sizes by kind of variant."""
    kinds = np.array([one.kind for one in truth.variants])
    changing = np.isin(kinds, CHANGING)
    same_sign = np.sign(known[changing]) == np.sign(predicted[changing])
    metrics = {
        "Spearman, all variants": _spearman(known, predicted),
        "Spearman, breaking or releasing": _spearman(known[changing], predicted[changing]),
        "correct signs, breaking or releasing": float(same_sign.mean()),
    }
    for kind in dict.fromkeys(kinds.tolist()):
        rows = kinds == kind
        metrics[f"mean size, {kind} ({rows.sum()}), known"] = float(np.abs(known[rows]).mean())
        metrics[f"mean size, {kind}, predicted"] = float(np.abs(predicted[rows]).mean())
    return metrics


def _spearman(known: np.ndarray, predicted: np.ndarray) -> float:
    return float(stats.spearmanr(known, predicted)[0])  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
