"""AUROC and average precision of all tracks against scikit-learn, in one run.

Run ``python -m benchmarks.ranking``; ``--full`` takes 455,024 windows and 919 tracks.
scikit-learn is timed on a few of the tracks and its time scaled up by their number.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import sklearn
from sklearn.metrics import average_precision_score, roc_auc_score

from danq.evaluation.metrics import rank


def make(windows: int, tracks: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores like a model's (bf16-like ties in every other track) and labels of 0.5-10 %."""
    rng = np.random.default_rng(seed)
    scores = np.empty((windows, tracks), np.float32)
    labels = np.empty((windows, tracks), np.uint8)
    rates = rng.uniform(0.005, 0.1, tracks)
    for k in range(tracks):
        labels[:, k] = rng.random(windows, np.float32) < rates[k]
        logit = rng.standard_normal(windows, np.float32) * 2 - 4 + 2 * labels[:, k]
        score = (1 / (1 + np.exp(-logit))).astype(np.float32)
        if k % 2:
            score = (score.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
        scores[:, k] = score
    return scores, labels


def seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="455,024 windows, 919 tracks")
    parser.add_argument("--windows", type=int, default=50_000)
    parser.add_argument("--tracks", type=int, default=128)
    parser.add_argument("--compare", type=int, default=16, help="tracks given to scikit-learn")
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    windows, tracks = (455_024, 919) if chosen.full else (chosen.windows, chosen.tracks)
    scores, labels = make(windows, tracks, 1)
    some = np.linspace(0, tracks - 1, min(chosen.compare, tracks)).astype(int)

    def theirs() -> np.ndarray:
        return np.array(
            [
                (
                    roc_auc_score(labels[:, k], scores[:, k]),
                    average_precision_score(labels[:, k], scores[:, k]),
                )
                for k in some
            ]
        )

    rank(scores[:100], labels[:100])  # compile
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ours, reference = [], []
    for turn in range(chosen.repeats):
        spent, ranking = seconds(lambda: rank(scores, labels))
        ours.append(spent)
        if turn == 0:
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        spent, expected = seconds(theirs)
        reference.append(spent * tracks / some.size)
    got = np.stack([ranking.auroc[some], ranking.aupr[some]], 1)
    held = scores.nbytes + labels.nbytes + grown * 1024
    print(
        json.dumps(
            {
                "windows": windows,
                "tracks": tracks,
                "threads": numba.get_num_threads(),
                "danq_s": statistics.median(ours),
                "danq_all_s": ours,
                "sklearn_tracks_timed": int(some.size),
                "sklearn_scaled_s": statistics.median(reference),
                "sklearn_scaled_all_s": reference,
                "ratio": statistics.median(reference) / statistics.median(ours),
                "largest_difference": float(np.abs(got - expected).max()),
                "memory_over_score_matrix": held / scores.nbytes,
                "versions": {
                    "numpy": np.__version__,
                    "numba": numba.__version__,
                    "scikit-learn": sklearn.__version__,
                },
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
