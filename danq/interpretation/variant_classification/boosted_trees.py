"""The classifier of functional variants: gradient-boosted trees."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

_MIN_VALUES_FOR_THREADS = 1_000_000


def untrained_trees(seed: int = 0) -> Any:
    """Standardization of the features, followed by boosted trees.

    scikit-learn's histogram gradient boosting with 200 trees of 31 leaves, learning rate 0.05, L2
    penalty 1 and balanced class weights. Trees handle NaN as a missing value. The published
    classifier standardizes its features; trees do not depend on it.
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


def fit_trees(
    features: Float32[np.ndarray, "V F"], labels: UInt8[np.ndarray, " V"], seed: int = 0
) -> Any:
    """Train `untrained_trees` on V variants; a feature that is unknown for all has no effect."""
    unknown = np.isnan(features).all(axis=0)
    if unknown.any():  # scikit-learn cannot bin a feature without values
        features = np.where(unknown, np.float32(0), features)
    with _thread_limit(features):
        return untrained_trees(seed).fit(features, labels)


def functional_probability(
    trees: Any, features: Float32[np.ndarray, "V F"]
) -> Float32[np.ndarray, " V"]:
    """Probability, from trained trees, that each of V variants is functional."""
    with _thread_limit(features):
        return trees.predict_proba(features)[:, 1].astype(np.float32)


def _thread_limit(features: np.ndarray) -> Any:
    """Use one thread for few values: two are ten times slower for 800 variants of 6 features."""
    from threadpoolctl import threadpool_limits

    limit = 1 if features.size < _MIN_VALUES_FOR_THREADS else None
    return threadpool_limits(limit, user_api="openmp")
