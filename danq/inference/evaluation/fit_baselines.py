"""Fit the k-mer baselines of an evaluation to a dataset."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from danq.datasets.column_summary import total_amounts
from danq.evaluation.amount_baseline import AmountBaseline, fit_amount_baseline
from danq.evaluation.amount_metrics import AmountMetrics, amount_metrics
from danq.evaluation.kmer_baseline import KmerBaseline, fit_kmer_baseline
from danq.evaluation.metrics import Ranking, rank
from danq.typing import IntRow

if TYPE_CHECKING:
    from danq.datasets.dataset import Dataset

_ROWS = 4096

log = logging.getLogger("danq")


def fit_baseline(dataset: Dataset, indices: IntRow) -> tuple[KmerBaseline, Ranking]:
    """The baseline of tracks of peaks, and its metrics for some windows."""
    train, valid = dataset.indices("train"), dataset.indices("valid")
    log.info("fitting the k-mer baseline to %s training windows", f"{len(train):,}")
    labels = dataset.labels
    fitted = fit_kmer_baseline(_batches(dataset, train, labels), _batches(dataset, valid, labels))
    scores = _joined(fitted.predict(codes) for codes, _ in _batches(dataset, indices, labels))
    return fitted, rank(scores, labels(indices), dataset.tracks[: dataset.peaks.size])


def fit_amounts(dataset: Dataset, indices: IntRow) -> tuple[AmountBaseline, AmountMetrics]:
    """The baseline of tracks of amounts, and its metrics for some windows."""
    train, valid = dataset.indices("train"), dataset.indices("valid")
    log.info("fitting the k-mer baseline of amounts to %s training windows", f"{len(train):,}")

    def totals(rows: IntRow) -> np.ndarray:
        return total_amounts(dataset, rows)

    fitted = fit_amount_baseline(
        _batches(dataset, train, totals),
        _batches(dataset, valid, totals),
        oriented=dataset.oriented,
    )
    found = _joined(fitted.predict(codes) for codes, _ in _batches(dataset, indices, totals))
    return fitted, amount_metrics(found, totals(indices), dataset.tracks[dataset.peaks.size :])


def _batches(
    dataset: Dataset, indices: IntRow, values: Callable[[IntRow], np.ndarray]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for start in range(0, len(indices), _ROWS):
        rows = indices[start : start + _ROWS]
        yield dataset.codes(rows), values(rows)


def _joined(parts: Iterator[np.ndarray]) -> np.ndarray:
    return np.concatenate(list(parts))
