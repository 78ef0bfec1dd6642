"""Functional variants told from others by what a model says of them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32, Float64, Int64, UInt8

from danq.errors import InputError
from danq.evaluation.metrics import rank

Groups = Literal["chrom", "none"]
FOLDS = 10
_WORTH_THREADS = 1_000_000

log = logging.getLogger("danq")


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """Probabilities that a variant is functional, each from a model that did not see it.

    Attributes
    ----------
    probability
        ``(V,)``.
    fold
        ``(V,)`` fold, from 1, in which each variant was held out.
    auroc, aupr
        ``(M,)`` area under the ROC curve and average precision within each fold; NaN for a fold
        without variants of both kinds.
    pooled_auroc, pooled_aupr
        Over all variants at once.
    base_rate
        Share of variants that are functional: the AUPR of chance.
    """

    probability: Float32[np.ndarray, " V"]
    fold: Int64[np.ndarray, " V"]
    auroc: Float64[np.ndarray, " M"]
    aupr: Float64[np.ndarray, " M"]
    pooled_auroc: float
    pooled_aupr: float
    base_rate: float


def classifier(seed: int = 0) -> Any:
    """An untrained model: features scaled to mean 0 and deviation 1, then boosted trees.

    200 trees of 31 leaves, learning rate 0.05, L2 penalty 1, classes weighted equally, by
    scikit-learn's histogram gradient boosting; a feature that is NaN goes its own way in each tree.
    The scaling is the published recipe's; trees do not depend on it.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    trees = HistGradientBoostingClassifier(
        learning_rate=0.05,
        max_iter=200,
        l2_regularization=1.0,
        class_weight="balanced",
        early_stopping=False,  # pyright: ignore[reportArgumentType]
        random_state=seed,
    )
    return make_pipeline(StandardScaler(), trees)


def cross_validate(
    values: Float32[np.ndarray, "V F"],
    labels: UInt8[np.ndarray, " V"],
    chroms: Sequence[str],
    *,
    folds: int = FOLDS,
    groups: Groups = "chrom",
    seed: int = 0,
) -> CrossValidation:
    """Judge on variants held out, fold by fold.

    Parameters
    ----------
    values
        ``(V, F)`` features, see `danq.interpretation.variant_classification.effect_features`.
    labels
        ``(V,)`` 1 for a functional variant, 0 for another.
    chroms
        Contig of each variant.
    folds
        Number of folds M.
    groups
        ``"chrom"`` keeps the variants of a contig together, so that neighbours, whose windows
        overlap, are never on both sides; ``"none"`` draws variants one by one, as published. Both
        keep the share of functional variants as even over folds as they can.
    seed
        Seed of the folds and the trees.

    Raises
    ------
    InputError
        When a fold would lack a class to train on: too few variants of one kind, or too few
        contigs that hold them.

    Notes
    -----
    Functional SNP models of Quang & Xie, Nucleic Acids Research 44:e107 (2016), after Zhou &
    Troyanskaya, Nature Methods 12:931 (2015): boosted trees on the absolute changes in log odds
    and in probability on every track, in ten folds. Those trees were XGBoost's.
    """
    parts = _folds(labels, chroms, folds, groups, seed)
    probability = np.empty(len(labels), np.float32)
    fold = np.zeros(len(labels), np.int64)
    auroc, aupr = np.full(folds, np.nan), np.full(folds, np.nan)
    for number, (train, test) in enumerate(parts):
        if len(np.unique(labels[train])) < 2:
            raise InputError(
                f"without fold {number + 1} only variants of one kind are left to train on",
                remedy="Ask for more folds, or for folds without groups",
            )
        model = fit(values[train], labels[train], seed)
        probability[test] = functional_probability(model, values[test])
        fold[test] = number + 1
        auroc[number], aupr[number] = _figures(probability[test], labels[test])
    undefined = np.isnan(auroc) | np.isnan(aupr)
    auroc[undefined] = aupr[undefined] = np.nan
    lacking = int(np.isnan(auroc).sum())
    if lacking:
        log.warning(
            "%d of %d folds hold variants of one kind only and have no figures; "
            "the pooled figures count them",
            lacking,
            folds,
        )
    return CrossValidation(
        probability,
        fold,
        auroc,
        aupr,
        *_figures(probability, labels),
        base_rate=float(labels.mean()),
    )


def fit(values: Float32[np.ndarray, "V F"], labels: UInt8[np.ndarray, " V"], seed: int = 0) -> Any:
    """Train `classifier` on all variants given."""
    with _threads(values):
        return classifier(seed).fit(values, labels)


def functional_probability(
    model: Any, values: Float32[np.ndarray, "V F"]
) -> Float32[np.ndarray, " V"]:
    """What a trained `classifier` says of variants."""
    with _threads(values):
        return model.predict_proba(values)[:, 1].astype(np.float32)


def _threads(values: np.ndarray) -> Any:
    """Keep to one thread where there is little to do.

    At 800 variants and 6 features two threads take ten times as long as one.
    """
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1 if values.size < _WORTH_THREADS else None, user_api="openmp")


def _figures(
    probability: Float32[np.ndarray, " V"], labels: UInt8[np.ndarray, " V"]
) -> tuple[float, float]:
    found = rank(probability[:, None].copy(), labels[:, None].copy())
    return float(found.auroc[0]), float(found.aupr[0])


def _folds(
    labels: np.ndarray, chroms: Sequence[str], folds: int, groups: Groups, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    if folds < 2:
        raise InputError(f"{folds} folds hold nothing out", remedy="Ask for at least 2")
    contigs, group = np.unique(np.asarray(chroms, dtype=str), return_inverse=True)
    for kind, name in ((1, "functional"), (0, "other")):
        units = group[labels == kind]
        have = len(np.unique(units)) if groups == "chrom" else len(units)
        if have < folds if groups == "none" else have < 2:
            where = "contigs hold them" if groups == "chrom" else "were given"
            raise InputError(
                f"{len(units)} {name} variants are too few for {folds} folds: {have} {where}",
                remedy="Ask for fewer folds, or for folds without groups",
            )
    if groups == "none":
        kind = StratifiedKFold(folds, shuffle=True, random_state=seed)
        return list(kind.split(labels, labels))
    if len(contigs) < folds:
        raise InputError(
            f"{len(contigs)} contigs cannot make {folds} folds",
            remedy=f"Ask for at most {len(contigs)} folds, or for folds without groups",
        )
    kind = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    return list(kind.split(labels, labels, group))
