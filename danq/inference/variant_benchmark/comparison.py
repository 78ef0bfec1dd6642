"""Compare predictors with measured effects: metrics and their confidence intervals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import polars as pl

from danq.evaluation.amount_metrics import pearson
from danq.evaluation.confidence_intervals import BLOCKS, draw_weights
from danq.evaluation.grouped_metrics import (
    Replicates,
    agreement,
    ranking_within,
    spearman_within,
)
from danq.inference.variant_benchmark.predictors import Predictor
from danq.inference.variant_benchmark.usable_variants import UsableVariants
from danq.typing import IntRow

LEVEL = 0.95

METRICS = {
    "auroc": "AUROC of the label",
    "ap": "average precision of the label",
    "spearman_size": "Spearman correlation of the sizes of predicted and measured effects",
    "spearman_signed": "Spearman correlation of signed effects",
    "pearson": "Pearson correlation of signed effects",
    "sign_agreement": "fraction of variants with the same sign of both effects",
    "sign_agreement_label": "the same of the variants with label 1",
    "strata_auroc": "AUROC within strata, averaged over variants with label 1",
    "strata_ap": "average precision within strata, averaged over variants with label 1",
    "strata_spearman_size": "correlation of sizes within strata, averaged over variants",
    "strata_spearman_signed": "correlation of signed effects within strata, averaged over variants",
    "matched_auroc": "AUROC against matched controls, averaged over variants with label 1",
    "matched_ap": "average precision among matched controls, averaged over variants with label 1",
}
"""Metrics, with their definitions."""

DIFFERENCE = "difference"
LOW, HIGH = "_low", "_high"


class Blocks(NamedTuple):
    """Blocks of the bootstrap.

    Attributes
    ----------
    count
        Number of blocks.
    variants
        Median number of variants in a block.
    bases
        Median distance from the first to the last variant of a block.
    """

    count: int
    variants: float
    bases: float

    def describe(self) -> str:
        """Number and size of the blocks."""
        return (
            f"{self.count:,} blocks of neighbouring variants (median: {self.variants:g} variants, "
            f"{self.bases:,.0f} bp)"
        )


def draw_replicates(
    used: UsableVariants, count: int, seed: int
) -> tuple[Replicates, Blocks | None]:
    """Replicates of a block bootstrap; only the variants themselves if there is one block.

    Parameters
    ----------
    used
        The variants.
    count
        Number of replicates; 0 for none.
    seed
        Random seed.
    """
    single = Replicates.single(len(used)), None
    if count == 0:
        return single
    block = np.unique(used.blocks(BLOCKS), return_inverse=True)[1].ravel().astype(np.int64)
    total = int(block.max()) + 1
    if total < 2:
        return single
    drawn = draw_weights(total, count, seed).T
    weights = np.concatenate([np.ones((1, total), np.uint8), drawn])
    return Replicates(block, np.ascontiguousarray(weights)), _describe(used, block, total)


def _describe(used: UsableVariants, block: IntRow, total: int) -> Blocks:
    spans = [np.ptp(used.start[block == one]) for one in range(total)]
    return Blocks(total, float(np.median(np.bincount(block))), float(np.median(spans)))


def compare(
    predictors: Iterable[Predictor], used: UsableVariants, replicates: Replicates
) -> pl.DataFrame:
    """Metrics of each predictor.

    Returns
    -------
    polars.DataFrame
        ``kind``, ``name``, each defined metric of `METRICS`, the ``difference`` of the first
        metric (that of the first predictor minus that of the row, in the same replicates), and
        ``meaning``. The limits of an interval follow each value (``_low``, ``_high``) if there
        are replicates. Rows are sorted by the first metric, best first.
    """
    rows, firsts = [], {}
    for one in predictors:
        row: dict[str, object] = {"kind": one.kind, "name": one.name}
        metrics = _metrics(one, used, replicates)
        for metric, values in metrics.items():
            correlation = "spearman" in metric or metric == "pearson"
            row |= _with_limits(metric, values, -1.0 if correlation else 0.0)
        firsts[one.kind, one.name] = next(iter(metrics.values()))
        rows.append((row, {"meaning": one.meaning}))
    best = next(iter(firsts.values()))
    found = []
    for row, meaning in rows:
        difference = best - firsts[row["kind"], row["name"]]
        found.append({**row, **_with_limits(DIFFERENCE, difference, -2.0), **meaning})
    table = pl.DataFrame(found, infer_schema_length=None)
    order = pl.col(first_metric(table)).fill_nan(None)
    return table.sort(order, descending=True, nulls_last=True, maintain_order=True)


def _metrics(one: Predictor, used: UsableVariants, replicates: Replicates) -> dict[str, np.ndarray]:
    found = {}
    scopes: dict[str, IntRow] = {"": np.zeros(len(used), np.int64)}
    if used.strata is not None:
        scopes["strata_"] = used.strata
    undefined = np.full(len(replicates.weights), np.nan)
    if used.label is not None:
        label = used.label.astype(np.uint8)
        for scope, group in scopes.items():
            ranking = ranking_within(one.size, label, group, replicates)
            found[f"{scope}auroc"], found[f"{scope}ap"] = ranking
        if used.matched is not None:
            inside = used.matched >= 0
            part = Replicates(replicates.block[inside], replicates.weights)
            ranking = ranking_within(one.size[inside], label[inside], used.matched[inside], part)
            found["matched_auroc"], found["matched_ap"] = ranking
    if used.effect is not None:
        size = np.abs(used.effect)
        for scope, group in scopes.items():
            found[f"{scope}spearman_size"] = spearman_within(one.size, size, group, replicates)
            found[f"{scope}spearman_signed"] = (
                undefined
                if one.signed is None
                else spearman_within(one.signed, used.effect, group, replicates)
            )
        found["pearson"] = (
            undefined if one.signed is None else pearson(one.signed, used.effect, replicates)
        )
        parts = {"sign_agreement": np.ones(len(used), np.bool_)}
        if used.label is not None:
            parts["sign_agreement_label"] = used.label == 1
        for name, rows in parts.items():
            part = Replicates(replicates.block[rows], replicates.weights)
            found[name] = (
                undefined
                if one.signed is None
                else agreement(one.signed[rows], used.effect[rows], part)
            )
    return {name: found[name] for name in METRICS if name in found}


def first_metric(table: pl.DataFrame) -> str:
    """The first of `METRICS` that a table has."""
    return next(name for name in METRICS if name in table.columns)


def _with_limits(name: str, values: np.ndarray, smallest: float) -> dict[str, float]:
    """A value, the first, and the limits of its interval from those of the replicates.

    The percentiles of the replicates are moved by the difference between the value and the mean of
    the replicates. Small groups need this: in a replicate, a variant that is drawn twice is tied
    with itself, which raises the average precision.

    Parameters
    ----------
    name
        Name of the metric.
    values
        ``(R,)``.
    smallest
        Smallest possible value; the largest is 1, or 2 for differences.
    """
    if len(values) == 1:
        return {name: float(values[0])}
    known = values[1:][~np.isnan(values[1:])]
    if not known.size or np.isnan(values[0]):
        return {name: float(values[0]), name + LOW: np.nan, name + HIGH: np.nan}
    ends = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) + (values[0] - known.mean())
    low, high = np.clip(ends, smallest, max(1.0, -smallest))
    return {name: float(values[0]), name + LOW: float(low), name + HIGH: float(high)}
