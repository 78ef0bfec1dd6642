"""Compare initial values of the convolution's filters on yeast.

    python -m benchmarks.studies.initial_filters --out runs --seeds 1 2 3 [--epochs N]

The model is danq-small. Its filters are initialised as "random" values; as "kmers", the enriched
k-mers of the training data, danq's default; as "motifs", the motifs of a collection by
DanQ-JASPAR's rule; or as "factors", the consensus sequences of yeast's factors by the same rule.
The default collection is the consensus of JASPAR 2024 in DANQ_SHARED_DATA. Its motifs are human,
so that it tests the rule and not the factors. The data set is that of `benchmarks.studies.yeast`.
A run directory that exists is resumed.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.harness.arguments import make_parser
from benchmarks.harness.report import write_json
from benchmarks.harness.yeast_data import yeast_dataset
from benchmarks.studies.motifs import COLLECTION, YEAST_FACTORS, consensus_motif
from benchmarks.studies.train_and_evaluate import train_and_evaluate
from danq.genome.motif_files import write_meme
from danq.models import PRESETS
from danq.training import ModelSettings, Recipe, RunConfig


def configurations(motifs: Path, factors: Path, epochs: int | None) -> dict[str, RunConfig]:
    """Run configuration of each kind of initial filters."""
    small = ModelSettings("danq-small")
    jaspar = ModelSettings("danq-jaspar", **PRESETS["danq-small"].model_dump())
    kinds = {
        "random": (small, "none"),
        "kmers": (small, "auto"),
        "motifs": (jaspar, str(motifs)),
        "factors": (jaspar, str(factors)),
    }
    training = {} if epochs is None else {"epochs": epochs}
    return {
        name: RunConfig(model=model, recipe=Recipe(initial_motifs=filters, **training))
        for name, (model, filters) in kinds.items()
    }


def main() -> None:
    """Train and evaluate every kind of initial filters with every seed."""
    parser = make_parser(__doc__, "seeds")
    parser.add_argument("--out", type=Path, required=True, help="folder for data and models")
    parser.add_argument("--motifs", type=Path, default=COLLECTION, help="MEME or JASPAR file")
    parser.add_argument("--kinds", nargs="+", default=["random", "kmers", "motifs", "factors"])
    parser.add_argument("--epochs", type=int, help="default: the recipe's")
    args = parser.parse_args()
    data, factors = yeast_dataset(args.out), args.out / "factors.meme"
    write_meme(factors, [consensus_motif(*item) for item in YEAST_FACTORS.items()], overwrite=True)
    configs = configurations(args.motifs.resolve(), factors.resolve(), args.epochs)
    metrics = train_and_evaluate(
        data, args.out, {kind: configs[kind] for kind in args.kinds}, args.seeds
    )
    write_json(args.out / "initial_filters.json", metrics)


if __name__ == "__main__":
    main()
