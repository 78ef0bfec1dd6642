"""Cross-validation of the classifier of functional variants."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32, Float64, Int64, UInt8

from danq.errors import InputError
from danq.evaluation.metrics import rank
from danq.interpretation.variant_classification.boosted_trees import (
    fit_trees,
    functional_probability,
)
from danq.progress import counted

Groups = Literal["chrom", "none"]
FOLDS = 10

log = logging.getLogger("danq")


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """Probabilities that variants are functional, predicted by models not trained on them.

    Attributes
    ----------
    probability
        ``(V,)`` probability that each variant is functional.
    fold
        ``(V,)`` 1-based fold in which each variant was held out.
    auroc, aupr
        ``(M,)`` area under the ROC curve and average precision in each of M folds; NaN for a fold
        with variants of one class only.
    pooled_auroc, pooled_aupr
        The same metrics over the variants of all folds together.
    base_rate
        Fraction of the variants that are functional, which is the expected AUPR of random scores.
    """

    probability: Float32[np.ndarray, " V"]
    fold: Int64[np.ndarray, " V"]
    auroc: Float64[np.ndarray, " M"]
    aupr: Float64[np.ndarray, " M"]
    pooled_auroc: float
    pooled_aupr: float
    base_rate: float


def cross_validate(
    features: Float32[np.ndarray, "V F"],
    labels: UInt8[np.ndarray, " V"],
    chroms: Sequence[str],
    *,
    folds: int = FOLDS,
    groups: Groups = "chrom",
    seed: int = 0,
) -> CrossValidation:
    """Train a classifier of functional variants for each fold and predict the held-out variants.

    Parameters
    ----------
    features
        ``(V, F)`` features, see `danq.interpretation.variant_classification.effect_features`.
    labels
        ``(V,)`` 1 for a functional variant, 0 for another.
    chroms
        Contig of each variant.
    folds
        Number of folds M.
    groups
        ``"chrom"`` keeps the variants of a contig in one fold, so variants whose windows overlap
        are never in both the training and the test set. ``"none"`` assigns each variant at
        random, as in the publications. Both keep the fraction of functional variants as equal
        across folds as possible.
    seed
        Random seed of the folds and the trees.

    Raises
    ------
    InputError
        When there are too few variants of a class, or too few contigs with variants of a class,
        for every training set to hold both classes.

    Notes
    -----
    This follows the functional SNP models of Quang & Xie, Nucleic Acids Research 44:e107 (2016),
    and Zhou & Troyanskaya, Nature Methods 12:931 (2015): boosted trees on the absolute changes in
    log odds and in probability of every track, in ten folds. Those models use XGBoost.
    """
    splits = _folds(labels, chroms, folds, groups, seed)
    probability = np.empty(len(labels), np.float32)
    fold = np.zeros(len(labels), np.int64)
    auroc, aupr = np.full(folds, np.nan), np.full(folds, np.nan)
    for number, (train, test) in enumerate(counted(splits, "training classifiers", "folds")):
        if len(np.unique(labels[train])) < 2:
            raise InputError(
                f"all variants outside fold {number + 1} have the same label",
                remedy="Use more folds, or groups 'none'",
            )
        trees = fit_trees(features[train], labels[train], seed)
        probability[test] = functional_probability(trees, features[test])
        fold[test] = number + 1
        auroc[number], aupr[number] = _metrics(probability[test], labels[test])
    undefined = np.isnan(auroc) | np.isnan(aupr)
    auroc[undefined] = aupr[undefined] = np.nan
    if undefined.any():
        log.warning(
            "%d of %d folds have variants of one class only and no metrics; "
            "the pooled metrics include their variants",
            int(undefined.sum()),
            folds,
        )
    return CrossValidation(
        probability,
        fold,
        auroc,
        aupr,
        *_metrics(probability, labels),
        base_rate=float(labels.mean()),
    )


def _metrics(
    probability: Float32[np.ndarray, " V"], labels: UInt8[np.ndarray, " V"]
) -> tuple[float, float]:
    ranking = rank(probability[:, None].copy(), labels[:, None].copy())
    return float(ranking.auroc[0]), float(ranking.aupr[0])


def _folds(
    labels: np.ndarray, chroms: Sequence[str], folds: int, groups: Groups, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Indices of the training and test variants of each fold."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    if folds < 2:
        raise InputError(f"folds is {folds}, the minimum is 2", remedy="Use 2 or more")
    contigs, contig = np.unique(np.asarray(chroms, dtype=str), return_inverse=True)
    for label, name in ((1, "functional"), (0, "other")):
        contigs_of_label = contig[labels == label]
        count = len(contigs_of_label)
        if groups == "chrom":
            units, minimum = len(np.unique(contigs_of_label)), 2
        else:
            units, minimum = count, folds
        if units < minimum and groups == "chrom":
            raise InputError(
                f"all {count} {name} variants are on one contig, but folds are whole contigs",
                remedy="Set groups to 'none'",
            )
        if units < minimum:
            raise InputError(
                f"{count} {name} variants are too few for {folds} folds: each fold needs one",
                remedy="Use fewer folds",
            )
    if groups == "none":
        splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
        return list(splitter.split(labels, labels))
    if len(contigs) < folds:
        raise InputError(
            f"the variants are on {len(contigs)} contigs, too few for {folds} folds of whole "
            "contigs",
            remedy=f"Use at most {len(contigs)} folds, or groups 'none'",
        )
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    return list(splitter.split(labels, labels, contig))
