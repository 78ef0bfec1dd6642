"""Train on bigWig signals of yeast, and compare with ridge regression on k-mers.

    python -m benchmarks.studies.signals OUT --epochs 8

The five tracks are MNase, RNA polymerase II, RNA of both strands and Scc1, as log1p of the mean of
200-bp bins in 1000-bp windows. They have three chromosomes: chrII and the first 1.2 Mb of chrIV are
the training split, the rest of chrIV selects the epoch, and chrXVI is the test chromosome. With
--tracks tss, the tracks are the transcription starts of both strands (STRIPE-seq, sums of 200-bp
bins, scaled to one million reads) of all chromosomes: chrXV selects the epoch, and chrIV is the
test chromosome. A run directory that exists is resumed.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from benchmarks.harness.arguments import make_parser
from benchmarks.harness.report import markdown_table, write_json
from benchmarks.harness.shared_data import SHARED_DATA, YEAST
from danq.datasets import Dataset, LabelOptions, SignalOptions, build_dataset
from danq.inference.evaluation.evaluate import evaluate
from danq.models import load_model
from danq.training import Recipe, RunSettings, train

SIGNALS = SHARED_DATA / "signal"
COVERAGE = [
    SIGNALS / "yeast-tracks-3chrom" / f"{name}.bw"
    for name in ("MNase", "PolII", "RNA.fwd", "RNA.rev", "Scc1")
]
STARTS = [SIGNALS / "yeast-tss-stripeseq" / f"wt.{strand}.bw" for strand in ("plus", "minus")]
SETS: dict[str, dict[str, Any]] = {
    "coverage": {
        "valid": "chrIV:1200001-1531933",
        "test": "chrXVI",
        "options": LabelOptions(signal=COVERAGE, amounts=SignalOptions(transform="log1p")),
    },
    "tss": {
        "valid": "chrXV",
        "test": "chrIV",
        "options": LabelOptions(
            signal=STARTS,
            skip_contigs="chrM",
            amounts=SignalOptions(statistic="sum", transform="log1p", library=True, gaps="zero"),
        ),
    },
}
COLUMNS = ("pearson", "pearson_low", "pearson_high", "baseline_pearson", "spearman", "r2")


def compare_with_baseline(
    out: Path, tracks: str, *, epochs: int, seed: int, threads: int
) -> dict[str, Any]:
    """Metrics of each track of a model and of the baseline, and the seconds of the training."""
    out.mkdir(parents=True, exist_ok=True)
    data, run = out / f"{tracks}.h5", out / f"{tracks}-seed{seed}"
    if not data.exists():
        build_dataset(data, YEAST / "genome/sacCer3.fa.gz", None, **SETS[tracks])
    start = time.perf_counter()
    settings = RunSettings(seed=seed, threads=threads, evaluate=False)
    train(data, out=run, recipe=Recipe(epochs=epochs), run=settings, resume=True)
    seconds = time.perf_counter() - start
    report = evaluate(load_model(run), Dataset.open(data), baseline=True)
    rows = report.table.select("track", *COLUMNS).to_dicts()
    return {"tracks": rows, "seconds": round(seconds)}


def main() -> None:
    parser = make_parser(__doc__, "threads")
    parser.add_argument("folder", type=Path, metavar="OUT", help="folder of runs and results")
    parser.add_argument("--tracks", choices=[*SETS], default="coverage", help="which signals")
    parser.add_argument("--epochs", type=int, default=8, help="epochs; 0 chooses them")
    parser.add_argument("--seed", type=int, default=1, help="random seed")
    given = parser.parse_args()
    results = compare_with_baseline(
        given.folder, given.tracks, epochs=given.epochs, seed=given.seed, threads=given.threads
    )
    write_json(given.folder / f"{given.tracks}-seed{given.seed}.json", results)
    rows = [
        [row["track"], *(f"{row[column]:.3f}" for column in COLUMNS)] for row in results["tracks"]
    ]
    print(markdown_table(("track", *COLUMNS), rows))
    print(f"trained for {results['seconds']:,} s")


if __name__ == "__main__":
    main()
