"""Deep forest: a cascade of random forests, a baseline without neural networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

Features = Float[np.ndarray, "N D"]


class DeepForest:
    """Levels of forests that read the features and the class vectors of the level before.

    A level has two random forests and two completely random forests, in which each node splits a
    random feature. The class vectors that the next level learns from are out of fold: no forest
    predicts an example that it was fitted on. Levels are added while the accuracy of these
    vectors increases.

    Parameters
    ----------
    trees
        Trees per forest.
    folds
        Number of folds of the cross-validation.
    levels
        Largest number of levels.
    seed
        Random seed of the folds and of all trees.

    Notes
    -----
    gcForest of Zhou & Feng, IJCAI 2017, without the multi-grained scan.
    """

    def __init__(self, *, trees: int = 100, folds: int = 5, levels: int = 8, seed: int = 0) -> None:
        self.trees, self.folds, self.levels, self.seed = trees, folds, levels, seed
        self.cascade: list[list[list[Any]]] = []
        """Fitted forests of scikit-learn, by level, forest of the level and fold."""
        self.classes = 0

    def fit(self, features: Features, labels: Int64[np.ndarray, " N"]) -> DeepForest:
        """Fit to examples with labels 0 to K - 1."""
        from sklearn.model_selection import KFold

        self.classes, self.cascade = int(labels.max()) + 1, []
        inputs, best = features, 0.0
        for level in range(self.levels):
            splits = list(
                KFold(self.folds, shuffle=True, random_state=self.seed + level).split(inputs)
            )
            fitted, vectors = [], []
            for number, make in enumerate(_FORESTS):
                vector = np.zeros((len(inputs), self.classes))
                folds = []
                for train, held in splits:
                    forest = make(self.trees, self.seed + 100 * level + number)
                    folds.append(forest.fit(inputs[train], labels[train]))
                    vector[held] = self._vector(folds[-1], inputs[held])
                fitted.append(folds)
                vectors.append(vector)
            accuracy = float((np.mean(vectors, axis=0).argmax(axis=1) == labels).mean())
            if accuracy <= best:
                break
            best = accuracy
            self.cascade.append(fitted)
            inputs = np.concatenate([features, *vectors], axis=1)
        return self

    def probabilities(self, features: Features) -> Float[np.ndarray, "N K"]:
        """Class probabilities: the mean over the forests of the last level."""
        inputs, vectors = features, [np.zeros((len(features), self.classes))]
        for level in self.cascade:
            vectors = [
                np.mean([self._vector(forest, inputs) for forest in folds], axis=0)
                for folds in level
            ]
            inputs = np.concatenate([features, *vectors], axis=1)
        return np.mean(vectors, axis=0)

    def _vector(self, forest: Any, features: Features) -> Float[np.ndarray, "N K"]:
        vector = np.zeros((len(features), self.classes))
        vector[:, forest.classes_] = forest.predict_proba(features)
        return vector


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
