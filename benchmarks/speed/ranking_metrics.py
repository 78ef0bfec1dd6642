"""AUROC and average precision of all tracks against scikit-learn.

The scores have the size of DeepSEA's test set: 455,024 windows and 919 tracks. scikit-learn is
timed on a few tracks, and its time is scaled up to all of them.
"""

from __future__ import annotations

import statistics

import numpy as np
import sklearn
from sklearn.metrics import average_precision_score, roc_auc_score

from benchmarks.harness.peak_memory import peak_bytes
from benchmarks.harness.timing import Measurement, speedup, time_alternately
from danq.evaluation.metrics import rank

WINDOWS, TRACKS, SKLEARN_TRACKS = 455_024, 919, 16


def random_scores(windows: int, tracks: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores and labels; 0.5-10 % of labels are positive.

    Every other track is rounded to bfloat16, so that scores are tied as in a model's output.
    """
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


def measure(*, quick: bool = False, repeats: int = 3) -> list[Measurement]:
    """Speed-up, largest difference, and memory relative to the score matrix."""
    windows, tracks = (4_000, 12) if quick else (WINDOWS, TRACKS)
    scores, labels = random_scores(windows, tracks, 1)
    some = np.linspace(0, tracks - 1, min(SKLEARN_TRACKS, tracks)).astype(int)

    def scikit_learn() -> np.ndarray:
        pairs = ((labels[:, k], scores[:, k]) for k in some)
        return np.array([(roc_auc_score(y, x), average_precision_score(y, x)) for y, x in pairs])

    rank(scores[:100], labels[:100])  # compiles
    ranking, growth = peak_bytes(lambda: rank(scores, labels))
    own = np.stack([ranking.auroc[some], ranking.aupr[some]], 1)
    largest = float(np.abs(own - scikit_learn()).max())
    seconds = time_alternately(
        {"scikit-learn": scikit_learn, "danq": lambda: rank(scores, labels)},
        repeats,
        warm_up=False,
    )
    memory = Measurement("memory relative to score matrix", target=3.0, at_most=True)
    if growth is None:
        memory.note = "skipped: this system does not report the peak memory"
    else:
        memory.value = (scores.nbytes + labels.nbytes + growth) / scores.nbytes
        memory.note = "scores, labels and working memory"
    return [
        speedup(
            "AUROC and average precision",
            [one * tracks / some.size for one in seconds["scikit-learn"]],
            seconds["danq"],
            target=20.0,
            goal=40.0,
            details={
                "windows": windows,
                "tracks": tracks,
                "sklearn_tracks_timed": int(some.size),
                "sklearn": sklearn.__version__,
                "seconds_per_track": statistics.median(seconds["danq"]) / tracks,
            },
        ),
        Measurement("largest difference", largest, "", target=1e-12, at_most=True),
        memory,
    ]
