"""Evaluation of scores: metrics, confidence intervals, curves, a baseline, tables and plots."""

from __future__ import annotations

from danq.evaluation.confidence_intervals import window_blocks
from danq.evaluation.curves import curve_grid
from danq.evaluation.kmer_baseline import KmerBaseline, fit_kmer_baseline
from danq.evaluation.metric_tables import group_table, track_table
from danq.evaluation.metrics import Ranking, average_precision, rank, roc_auc

__all__ = [
    "KmerBaseline",
    "Ranking",
    "average_precision",
    "curve_grid",
    "fit_kmer_baseline",
    "group_table",
    "rank",
    "roc_auc",
    "track_table",
    "window_blocks",
]
