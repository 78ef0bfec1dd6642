"""Deep forest: a cascade of random forests and a multi-grained scan, without neural networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    gcForest of Zhou & Feng, IJCAI 2017. `MultiGrainedScan` makes the features of images.
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
        return _class_vector(forest, features, self.classes)


class MultiGrainedScan:
    """Class vectors of the windows of an image, as features of a `DeepForest`.

    Windows of several widths slide over an image. For each width, one random forest and one
    completely random forest learn the class of the image from the pixels of a window. The features
    of an image are the class vectors of all its windows. Those of the images that the forests are
    fitted to are out of fold: no forest predicts a window of an image that it was fitted to.

    Parameters
    ----------
    windows
        Widths of the square windows in pixels.
    stride
        Pixels from a window to the next.
    trees, folds, seed
        As of `DeepForest`.

    Notes
    -----
    Zhou & Feng, IJCAI 2017. Simplified: all widths feed every level of the cascade; in the paper
    the levels take turns.
    """

    def __init__(
        self,
        windows: Sequence[int],
        *,
        stride: int = 1,
        trees: int = 30,
        folds: int = 3,
        seed: int = 0,
    ) -> None:
        self.windows, self.stride = tuple(windows), stride
        self.trees, self.folds, self.seed = trees, folds, seed
        self.forests: list[list[list[Any]]] = []
        """Fitted forests of scikit-learn, by window width, kind of forest and fold."""
        self.classes = 0

    def fit_transform(
        self, images: Float[np.ndarray, "N C H W"], labels: Int64[np.ndarray, " N"]
    ) -> Float[np.ndarray, "N D"]:
        """Fit to images with labels 0 to K - 1, and return their features."""
        from sklearn.model_selection import KFold

        self.classes, self.forests = int(labels.max()) + 1, []
        splits = list(
            KFold(self.folds, shuffle=True, random_state=self.seed).split(np.arange(len(images)))
        )
        features = []
        for width in self.windows:
            windows, kinds = sliding_windows(images, width, self.stride), []
            positions = windows.shape[1]
            for number, make in enumerate(_FORESTS[:2]):
                vector, folds = np.zeros((*windows.shape[:2], self.classes)), []
                for train, held in splits:
                    forest = make(self.trees, self.seed + number)
                    every = np.repeat(labels[train], positions)
                    folds.append(forest.fit(windows[train].reshape(len(every), -1), every))
                    vector[held] = self._vectors(folds[-1], windows[held])
                features.append(vector.reshape(len(images), -1))
                kinds.append(folds)
            self.forests.append(kinds)
        return np.concatenate(features, axis=1)

    def transform(self, images: Float[np.ndarray, "N C H W"]) -> Float[np.ndarray, "N D"]:
        """Features of other images: the mean over the forests of all folds."""
        features = []
        for width, kinds in zip(self.windows, self.forests, strict=True):
            windows = sliding_windows(images, width, self.stride)
            for folds in kinds:
                vector = np.mean([self._vectors(forest, windows) for forest in folds], axis=0)
                features.append(vector.reshape(len(images), -1))
        return np.concatenate(features, axis=1)

    def _vectors(
        self, forest: Any, windows: Float[np.ndarray, "N P D"]
    ) -> Float[np.ndarray, "N P K"]:
        flat = windows.reshape(-1, windows.shape[2])
        return _class_vector(forest, flat, self.classes).reshape(*windows.shape[:2], -1)


def sliding_windows(
    images: Float[np.ndarray, "N C H W"], width: int, stride: int
) -> Float[np.ndarray, "N P D"]:
    """Pixels of all square windows of a width, row by row: ``D = C * width ** 2``.

    Raises
    ------
    ValueError
        When the images are smaller than a window.
    """
    if min(images.shape[2:]) < width:
        height, across = images.shape[2:]
        raise ValueError(f"images of {height} x {across} pixels have no window of width {width}")
    windows = np.lib.stride_tricks.sliding_window_view(images, (width, width), axis=(2, 3))
    windows = windows[:, :, ::stride, ::stride].transpose(0, 2, 3, 1, 4, 5)
    return windows.reshape(len(images), -1, images.shape[1] * width**2)


def _class_vector(forest: Any, features: Features, classes: int) -> Float[np.ndarray, "N K"]:
    vector = np.zeros((len(features), classes))
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
