"""Metrics of classes, labels and values."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int64

from danq.evaluation.metrics import average_precision
from danq.training.problem import Metrics


class Counts(NamedTuple):
    """Hits, predictions and true examples of each class."""

    hits: Int64[np.ndarray, " K"]
    predicted: Int64[np.ndarray, " K"]
    true: Int64[np.ndarray, " K"]

    def f1(self) -> Float[np.ndarray, " K"]:
        """F1 of each class; 0 without a hit."""
        return 2 * self.hits / np.maximum(1, self.predicted + self.true)


def class_metrics(true: Int64[np.ndarray, " N"], predicted: Int64[np.ndarray, " N"]) -> Metrics:
    """Accuracy, balanced accuracy and macro F1 of one class per example.

    Balanced accuracy is the mean over the true classes of the share of their examples that are
    predicted correctly. Macro F1 is the mean F1 over all classes that are true or predicted
    somewhere. Both as in scikit-learn. A true class of -1 is unknown to the model: it counts as
    wrong in the accuracy, and not in the others.
    """
    accuracy = float((true == predicted).mean()) if len(true) else float("nan")
    true, predicted = true[true >= 0], predicted[true >= 0]
    size = int(max(true.max(initial=-1), predicted.max(initial=-1))) + 1
    counts = Counts(
        *(np.bincount(one, minlength=size) for one in (true[true == predicted], predicted, true))
    )
    known, seen = counts.true > 0, counts.true + counts.predicted > 0
    if not known.any():
        return {"accuracy": accuracy, "balanced_accuracy": float("nan"), "f1": float("nan")}
    recall = counts.hits[known] / counts.true[known]
    return {
        "accuracy": accuracy,
        "balanced_accuracy": float(recall.mean()),
        "f1": float(counts.f1()[seen].mean()),
    }


def label_metrics(
    true: Bool[np.ndarray, "N K"], scores: Float[np.ndarray, "N K"], threshold: float = 0.0
) -> Metrics:
    """Macro and micro F1 of logits above a threshold, and macro average precision.

    Labels without a positive example have no average precision and are left out of its mean; NaN
    if that is all of them.
    """
    found = scores > threshold
    counts = Counts((true & found).sum(axis=0), found.sum(axis=0), true.sum(axis=0))
    hits, size = counts.hits.sum(), counts.predicted.sum() + counts.true.sum()
    each = average_precision(scores.astype(np.float32), true.astype(np.uint8))
    usable = ~np.isnan(each)
    return {
        "f1": float(counts.f1().mean()),
        "micro_f1": float(2 * hits / max(1, size)),
        "aupr": float(each[usable].mean()) if usable.any() else float("nan"),
    }


def value_metrics(true: Float[np.ndarray, "N K"], predicted: Float[np.ndarray, "N K"]) -> Metrics:
    """R² and mean absolute error, each the mean over the columns; NaN in ``true`` is left out.

    Columns whose known values are all equal have no R² and are left out of its mean.
    """
    r2, mae = [], []
    for k in range(true.shape[1]):
        known = ~np.isnan(true[:, k])
        if not known.any():
            continue
        y = true[known, k].astype(np.float64)
        error = predicted[known, k].astype(np.float64) - y
        mae.append(np.abs(error).mean())
        spread = np.square(y - y.mean()).sum()
        if spread > 0:
            r2.append(1 - np.square(error).sum() / spread)
    return {
        "r2": float(np.mean(r2)) if r2 else float("nan"),
        "mae": float(np.mean(mae)) if mae else float("nan"),
    }
