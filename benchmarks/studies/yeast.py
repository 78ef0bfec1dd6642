"""Train danq-small with the default recipe on yeast and evaluate it on a held-out chromosome.

    python -m benchmarks.studies.yeast --out runs --seeds 1 2 3

The data set holds the 64 ChIP-exo tracks with the most positive 200-bp bins; chrXV is the
validation chromosome and chrIV the test chromosome. The environment variable DANQ_SHARED_DATA gives
the folder of the data. A seed whose run directory exists is resumed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.harness.arguments import make_parser
from benchmarks.harness.report import write_json
from benchmarks.harness.yeast_data import CONFIG, yeast_dataset
from benchmarks.studies.motifs import YEAST_FACTORS, consensus_motif
from benchmarks.studies.train_and_evaluate import train_and_evaluate
from danq.datasets import Dataset
from danq.evaluation.metrics import average_precision
from danq.genome.motif_matrix import scan
from danq.training import read_config


def motif_aupr(dataset: Dataset, track: str) -> float:
    """AUPR of the best match of a known motif within 100 bp of the window's centre."""
    log_odds = consensus_motif(track, YEAST_FACTORS[track], consensus=1.0).log_odds()
    test = dataset.indices("test")
    middle = slice(dataset.window // 2 - 100, dataset.window // 2 + 100)
    best = scan(dataset.codes(test)[:, middle].copy(), log_odds.astype(np.float32)).max(axis=1)
    labels = dataset.labels(test)[:, dataset.tracks.index(track)]
    return float(average_precision(best[:, None], labels[:, None])[0])


def main() -> None:
    """Build the data set, train and evaluate every seed, and write the metrics."""
    parser = make_parser(__doc__, "seeds")
    parser.add_argument("--out", type=Path, required=True, help="folder for data and models")
    parser.add_argument("--config", type=Path, default=CONFIG)
    args = parser.parse_args()
    data = yeast_dataset(args.out, args.config)
    dataset = Dataset.open(data)
    motifs = {name: motif_aupr(dataset, name) for name in ("Reb1", "Abf1")}
    print("AUPR of the known motif alone:", motifs)
    configs = {"danq-small": read_config(args.config)}
    metrics = train_and_evaluate(data, args.out, configs, args.seeds, baseline=True)
    write_json(args.out / "yeast.json", {"known_motif_aupr": motifs, **metrics})


if __name__ == "__main__":
    main()
