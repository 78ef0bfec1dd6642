"""Deep forest: a cascade of random forests, a baseline that is no network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

Features = Float[np.ndarray, "N D"]


class DeepForest:
    """Levels of forests, each reading the features and the class vectors of the level before.

    A level has two random forests and two completely random ones (each node splits a feature drawn
    by chance). The class vectors that the next level learns from are out of fold, so that no
    forest has seen the example it judges. Levels are added until the accuracy of those vectors no
    longer rises.

    Parameters
    ----------
    trees
        Trees of a forest.
    folds
        Parts of the training set, each judged by forests of the others.
    levels
        Levels at most.
    seed
        Of the parts and of all trees.

    Notes
    -----
    gcForest of Zhou & Feng, IJCAI 2017, without the multi-grained scan.
    """

    def __init__(self, *, trees: int = 100, folds: int = 5, levels: int = 8, seed: int = 0) -> None:
        self.trees, self.folds, self.levels, self.seed = trees, folds, levels, seed
        self.cascade: list[list[list[Any]]] = []
        """Level, forest of the level, its fold: a fitted forest of scikit-learn."""
        self.classes = 0

    def fit(self, features: Features, labels: Int64[np.ndarray, " N"]) -> DeepForest:
        """Learn from examples whose labels are 0, 1, ... up to one less than the classes."""
        from sklearn.model_selection import KFold

        self.classes, self.cascade = int(labels.max()) + 1, []
        seen, best = features, 0.0
        for level in range(self.levels):
            parts = list(
                KFold(self.folds, shuffle=True, random_state=self.seed + level).split(seen)
            )
            fitted, vectors = [], []
            for number, make in enumerate(_FORESTS):
                vector = np.zeros((len(seen), self.classes))
                folds = []
                for train, held in parts:
                    forest = make(self.trees, self.seed + 100 * level + number)
                    folds.append(forest.fit(seen[train], labels[train]))
                    vector[held] = self._vector(folds[-1], seen[held])
                fitted.append(folds)
                vectors.append(vector)
            accuracy = float((np.mean(vectors, axis=0).argmax(axis=1) == labels).mean())
            if accuracy <= best:
                break
            best = accuracy
            self.cascade.append(fitted)
            seen = np.concatenate([features, *vectors], axis=1)
        return self

    def probabilities(self, features: Features) -> Float[np.ndarray, "N K"]:
        """Class probabilities: the mean over the forests of the last level."""
        seen, vectors = features, [np.zeros((len(features), self.classes))]
        for level in self.cascade:
            vectors = [
                np.mean([self._vector(forest, seen) for forest in folds], axis=0) for folds in level
            ]
            seen = np.concatenate([features, *vectors], axis=1)
        return np.mean(vectors, axis=0)

    def _vector(self, forest: Any, features: Features) -> Float[np.ndarray, "N K"]:
        found = np.zeros((len(features), self.classes))
        found[:, forest.classes_] = forest.predict_proba(features)
        return found


def _random(trees: int, seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(trees, max_features="sqrt", random_state=seed)


def _completely_random(trees: int, seed: int) -> Any:
    from sklearn.ensemble import ExtraTreesClassifier

    return ExtraTreesClassifier(trees, random_state=seed).set_params(max_features=1)


_FORESTS: tuple[Callable[[int, int], Any], ...] = (
    _random,
    _completely_random,
    _random,
    _completely_random,
)
