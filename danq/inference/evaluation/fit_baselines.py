"""Fit the k-mer baselines of an evaluation to a dataset."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from danq.datasets.column_summary import total_amounts
from danq.evaluation.amount_baseline import AmountBaseline, fit_amount_baseline
from danq.evaluation.amount_metrics import AmountMetrics, Amounts, amount_metrics
from danq.evaluation.kmer_baseline import KmerBaseline, fit_kmer_baseline
from danq.evaluation.metrics import Ranking, rank
from danq.progress import stage
from danq.typing import IntRow, LabelBatch

if TYPE_CHECKING:
    from danq.datasets.dataset import Dataset

_ROWS = 4096

log = logging.getLogger("danq")


def fit_baseline(
    dataset: Dataset, indices: IntRow, labels: LabelBatch
) -> tuple[KmerBaseline, Ranking]:
    """The baseline of tracks of peaks, and its metrics for windows with the given labels."""
    fitted = fit_baseline_of_peaks(dataset)
    scores = _predicted(fitted, dataset, indices)
    return fitted, rank(scores, labels, dataset.tracks[: dataset.peaks.size])


def fit_amounts(
    dataset: Dataset, indices: IntRow, measured: Amounts
) -> tuple[AmountBaseline, AmountMetrics]:
    """The baseline of tracks of amounts, and its metrics for windows with measured amounts."""
    fitted = fit_baseline_of_amounts(dataset)
    found = _predicted(fitted, dataset, indices)
    return fitted, amount_metrics(found, measured, dataset.tracks[dataset.peaks.size :])


def fit_baseline_of_peaks(dataset: Dataset) -> KmerBaseline:
    """The baseline of tracks of peaks."""
    train, valid = dataset.indices("train"), dataset.indices("valid")
    log.info("fitting the k-mer baseline to %s training windows", f"{len(train):,}")
    return fit_kmer_baseline(
        _batches(dataset, train, dataset.labels), _batches(dataset, valid, dataset.labels)
    )


def fit_baseline_of_amounts(dataset: Dataset) -> AmountBaseline:
    """The baseline of tracks of amounts.

    Of tracks of two strands, it is fitted to windows and to their reverse complements.
    """
    train, valid = dataset.indices("train"), dataset.indices("valid")
    log.info("fitting the k-mer baseline of amounts to %s training windows", f"{len(train):,}")
    reverse = () if dataset.measured is None else dataset.measured.reverse
    if reverse:
        fitted = fit_amount_baseline(
            _both_strands(dataset, train), _both_strands(dataset, valid), oriented=True
        )
        return replace(fitted, reverse=reverse)
    totals = partial(total_amounts, dataset)
    return fit_amount_baseline(
        _batches(dataset, train, totals),
        _batches(dataset, valid, totals),
        oriented=dataset.oriented,
    )


def _both_strands(dataset: Dataset, indices: IntRow) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of windows and of their reverse complements, with the amounts of their strands."""
    for rows in _blocks(indices):
        for flag in (False, True):
            flips = np.full(len(rows), flag)
            yield dataset.codes(rows, flips), total_amounts(dataset, rows, flips)


def _batches(
    dataset: Dataset, indices: IntRow, values: Callable[[IntRow], np.ndarray]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for rows in _blocks(indices):
        yield dataset.codes(rows), values(rows)


def _predicted(
    fitted: KmerBaseline | AmountBaseline, dataset: Dataset, indices: IntRow
) -> np.ndarray:
    return np.concatenate([fitted.predict(dataset.codes(rows)) for rows in _blocks(indices)])


def _blocks(indices: IntRow) -> Iterator[IntRow]:
    with stage("reading windows for the baseline", "windows", len(indices)) as now:
        for start in range(0, len(indices), _ROWS):
            yield indices[start : start + _ROWS]
            now.reach(min(start + _ROWS, len(indices)))
