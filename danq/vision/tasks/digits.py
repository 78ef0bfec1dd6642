"""Handwritten digits, and a baseline that is no network: the deep forest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from torch import nn

from danq.core import Classes, CnnRnn, ColumnEncoder, Last, Mlp, Recurrent, conv_encoder
from danq.core.dropout import TorchDropout
from danq.training.problem import Metrics
from danq.vision.blocks import image_cnn
from danq.vision.deep_forest import DeepForest
from danq.vision.examples import Data, Examples
from danq.vision.task import Classification, Sizes, System, Target, recipe


def picture_model(facts: Mapping[str, Any], channels: Sequence[int], features: int) -> nn.Module:
    """Image CNN -> classes."""
    body = image_cnn(facts["shape"], channels, features)
    dense = Mlp(features, (), dropout=0.3)
    return nn.Sequential(body, TorchDropout(0.3), Classes(dense, len(facts["classes"])))


def column_model(facts: Mapping[str, Any], channels: Sequence[int], hidden: int) -> nn.Module:
    """Columns of the convolved image -> BiLSTM -> last step -> classes."""
    channels_in, height, _ = facts["shape"]
    encoder = ColumnEncoder(conv_encoder(2, channels_in, channels, pool=1), height)
    rnn = Recurrent(encoder.out_features, hidden)
    head = Classes(Mlp(2 * hidden, ()), len(facts["classes"]))
    return CnnRnn(encoder, rnn, Last(2 * hidden), head, encoder_dropout=0.3, temporal_dropout=0.3)


class Digits(Classification):
    """Ten classes of 8 x 8 images, split as the deep forest's authors split them."""

    name = "digits"
    about = "scikit-learn's digits, split by random_state=1: networks beside the deep forest"
    inputs = ("image",)
    systems = (
        System(
            "cnn",
            "Conv(2) -> dense -> Classes",
            "LeCun et al. 1998",
            picture_model,
            {"channels": [32, 64], "features": 128},
        ),
        System(
            "cnn-lstm",
            "Column -> BiLSTM -> Last -> Classes",
            "ReNet: Visin et al. 2015, columns alone",
            column_model,
            {"channels": [16, 16], "hidden": 48},
        ),
    )
    recipe = recipe(epochs=30, lr=3e-3, batch_size=32, averaging=0.98)
    quick_recipe = {"epochs": 3}  # noqa: RUF012
    sizes = Sizes(1147, 200, 450)
    quick_sizes = Sizes(300, 50, 100)
    targets = (
        Target(
            "deep forest as published: 98.667 %",
            lambda m: m["deep forest"]["accuracy"] >= 0.98666,
        ),
        Target(
            "deep forest above one random forest",
            lambda m: m["deep forest"]["accuracy"] > m["random forest"]["accuracy"],
        ),
    )

    def make(self, seed: int, sizes: Sizes) -> Data:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        found: Any = load_digits()
        pixels = np.rint(found.images[:, None] * (255 / 16)).astype(np.uint8)
        parts: Any = train_test_split(pixels, found.target.astype(np.int64), random_state=1)
        images, test_images, labels, test_labels = parts
        # Which of the training images are for validation is the seed's affair.
        order = np.random.default_rng(seed).permutation(len(images))
        train, valid = order[: sizes.train], order[len(order) - sizes.valid :]
        return Data(
            train=Examples({"image": images[train], "label": labels[train]}),
            valid=Examples({"image": images[valid], "label": labels[valid]}),
            test=Examples({"image": test_images[: sizes.test], "label": test_labels[: sizes.test]}),
            facts={"shape": [1, 8, 8], "classes": [str(k) for k in range(10)]},
        )

    def baselines(self, data: Data, quick: bool) -> Mapping[str, Callable[[], Metrics]]:
        parts = [
            (split["image"].reshape(len(split), -1) / 255.0, split["label"])
            for split in (data.train, data.valid, data.test)
        ]
        known, labels = (np.concatenate([part[k] for part in parts[:2]]) for k in (0, 1))
        test, right = parts[2]
        trees = 20 if quick else 100

        def cascade() -> Metrics:
            forest = DeepForest(trees=trees).fit(known, labels)
            return _accuracy(forest.probabilities(test).argmax(axis=1), right)

        def forest() -> Metrics:
            from sklearn.ensemble import RandomForestClassifier

            single = RandomForestClassifier(4 * trees, random_state=0).fit(known, labels)
            return _accuracy(single.predict(test), right)

        return {"deep forest": cascade, "random forest": forest}


def _accuracy(found: np.ndarray, right: np.ndarray) -> Metrics:
    return {"accuracy": float((found == right).mean())}
