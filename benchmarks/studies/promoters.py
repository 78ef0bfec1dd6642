"""Train on random yeast promoters; evaluate on others and on base changes of native promoters.

    python -m benchmarks.studies.promoters --out runs --seeds 1 2 3

The dataset is built from a table of promoters with measured expression, with danq's random splits:
80 % for training, 10 % for validation and 10 % for testing. Preset and recipe are danq's defaults.
The single-base changes are in 100 native promoters: the correlation is that of the predicted and
the measured deviation from the mean of the promoter. The k-mer ridge regression has the penalty
that is best on the validation split. The environment variable DANQ_SHARED_DATA gives the folder of
the data. A seed whose run directory exists is resumed.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.harness.arguments import make_parser
from benchmarks.harness.report import write_json
from benchmarks.harness.shared_data import SHARED_DATA
from benchmarks.studies.train_and_evaluate import run_folder
from danq.datasets import Dataset, build_sequence_dataset
from danq.evaluation.amount_metrics import amount_metrics
from danq.genome.nucleotide_codes import N, encode
from danq.inference.evaluation.amount_report import AmountReport
from danq.inference.evaluation.evaluate import evaluate
from danq.inference.prediction.predict import predict
from danq.models import load_model
from danq.training import RunSettings, train

EXPRESSION = SHARED_DATA / "yeast-expression"
PROMOTERS = EXPRESSION / "random-promoters/promoters.tsv.gz"
CHANGES = EXPRESSION / "native-snvs/native_tile_snvs.tsv.gz"


def deviations(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Values minus the mean of their group."""
    _, number = np.unique(groups, return_inverse=True)
    return values - (np.bincount(number, values) / np.bincount(number))[number]


def correlation_of_changes(values: np.ndarray, changes: pl.DataFrame) -> float:
    """Pearson correlation of the deviations from the means of the native promoters."""
    own = deviations(values.astype(np.float64), changes["tile"].to_numpy())
    measured = changes["dev_YPD"].to_numpy()
    return float(amount_metrics(own[:, None], measured[:, None]).pearson[0])


def centred(sequences: list[str], window: int) -> np.ndarray:
    """Codes of sequences in the middle of windows, as danq reads them."""
    codes = np.full((len(sequences), window), N, np.uint8)
    for row, sequence in zip(codes, sequences, strict=True):
        first = window // 2 - len(sequence) // 2
        row[first : first + len(sequence)] = encode(sequence)
    return codes


def main() -> None:
    """Build the dataset, train and evaluate every seed, and write the metrics."""
    parser = make_parser(__doc__, "seeds")
    parser.add_argument("--out", type=Path, required=True, help="folder for data and models")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    data = args.out / "promoters.h5"
    if not data.exists():
        build_sequence_dataset(data, PROMOTERS)
    dataset = Dataset.open(data)
    changes = pl.read_csv(CHANGES, separator="\t").filter(pl.col("dev_YPD").is_not_null())
    sequences = changes["sequence110"].to_list()
    runs: dict[int, dict[str, float]] = {}
    ridge: dict[str, float] = {}
    for seed in args.seeds:
        folder = run_folder(args.out, "promoters", seed)
        run = RunSettings(seed=seed, threads=1, evaluate=False)
        processor = time.process_time()
        result = train(data, out=folder, run=run, resume=True)
        processor = time.process_time() - processor
        model = load_model(folder)
        report = evaluate(model, dataset, split="test", baseline=not ridge)
        assert isinstance(report, AmountReport)
        found = predict(model, sequences).values[:, 0]
        runs[seed] = {
            "pearson": report.macro_pearson,
            "changes": correlation_of_changes(found, changes),
            "seconds": round(result.seconds),
            "processor_seconds": round(processor),
        }
        if report.baseline is not None:
            linear = report.baseline.predict(centred(sequences, dataset.window))
            ridge = {
                "pearson": float(report.table["baseline_pearson"][0]),
                "changes": correlation_of_changes(linear[:, 0], changes),
            }
            print("k-mer ridge:", ridge)
        print(f"seed {seed}:", runs[seed], flush=True)
    means = {key: statistics.fmean(run[key] for run in runs.values()) for key in runs[seed]}
    print("mean:", {key: round(value, 4) for key, value in means.items()})
    write_json(args.out / "promoters.json", {"ridge": ridge, "seeds": runs, "mean": means})


if __name__ == "__main__":
    main()
