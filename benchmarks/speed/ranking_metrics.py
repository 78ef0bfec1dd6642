"""AUROC and average precision of all tracks against scikit-learn, in one run.

    python -m benchmarks.speed.ranking_metrics [--quick]

455,024 windows and 919 tracks, as in DeepSEA's test set. scikit-learn is timed on a few of the
tracks and its time scaled up by their number.
"""

from __future__ import annotations

import statistics

import numpy as np
import sklearn
from sklearn.metrics import average_precision_score, roc_auc_score

from benchmarks.harness.timing import Row, alternate, compare, peak_bytes
from danq.evaluation.metrics import rank

PART = "ranking"
WINDOWS, TRACKS, COMPARED = 455_024, 919, 16


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


def measure(*, quick: bool = False, rounds: int = 3) -> list[Row]:
    """Ratio of times, memory over the score matrix, and the largest difference."""
    windows, tracks = (4_000, 12) if quick else (WINDOWS, TRACKS)
    scores, labels = make(windows, tracks, 1)
    some = np.linspace(0, tracks - 1, min(COMPARED, tracks)).astype(int)

    def theirs() -> np.ndarray:
        pairs = ((labels[:, k], scores[:, k]) for k in some)
        return np.array([(roc_auc_score(y, x), average_precision_score(y, x)) for y, x in pairs])

    rank(scores[:100], labels[:100])  # compiles
    ranking, grown = peak_bytes(lambda: rank(scores, labels))
    off = float(np.abs(np.stack([ranking.auroc[some], ranking.aupr[some]], 1) - theirs()).max())
    spent = alternate({"sklearn": theirs, "danq": lambda: rank(scores, labels)}, rounds, warm=0)
    scaled = [seconds * tracks / some.size for seconds in spent["sklearn"]]
    row = compare(PART, "AUROC + average precision", scaled, spent["danq"], target=20.0, goal=40.0)
    row.details = {
        "windows": windows,
        "tracks": tracks,
        "sklearn_tracks_timed": int(some.size),
        "sklearn": sklearn.__version__,
        "seconds_per_track": statistics.median(spent["danq"]) / tracks,
    }
    rows = [
        row,
        Row(PART, "largest difference", off, "", target=1e-12, at_most=True),
    ]
    held = Row(PART, "memory over the score matrix", target=3.0, at_most=True)
    if grown is None:
        held.note = "skipped: the peak of memory cannot be read on this system"
    else:
        held.value = (scores.nbytes + labels.nbytes + grown) / scores.nbytes
        held.note = "scores, labels and what the call takes beside them"
    return [*rows, held]


if __name__ == "__main__":
    from benchmarks.harness.command import main

    main(measure, __doc__)
