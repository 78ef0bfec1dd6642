"""How well scores rank windows: figures, intervals, curves, a baseline, tables and plots."""

from __future__ import annotations

from danq.evaluation.baseline import KmerBaseline, fit_kmer_baseline
from danq.evaluation.bootstrap import window_blocks
from danq.evaluation.curves import curve_grid
from danq.evaluation.metrics import Ranking, average_precision, rank, roc_auc
from danq.evaluation.table import group_table, track_table

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
