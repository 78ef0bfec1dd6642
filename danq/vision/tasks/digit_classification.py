"""Classes of handwritten digits, with a deep forest as baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import nn

from danq.core import Classes, CnnRnn, ColumnEncoder, Last, Mlp, Recurrent, conv_encoder
from danq.core.dropout import TorchDropout
from danq.training.problem import Metrics
from danq.vision.base_tasks import DIGIT_CLASSES, Classification
from danq.vision.dataset import Dataset, Examples, Metadata, layout
from danq.vision.deep_forest import DeepForest, MultiGrainedScan
from danq.vision.model_blocks import image_cnn
from danq.vision.task import Baselines, ModelDefinition, Sizes, Target, above, at_least, task_recipe


def image_model(metadata: Metadata, channels: Sequence[int], features: int) -> nn.Module:
    """Image CNN, classes."""
    body = image_cnn(metadata["shape"], channels, features)
    dense = Mlp(features, (), dropout=0.3)
    return nn.Sequential(body, TorchDropout(0.3), Classes(dense, len(metadata["classes"])))


def column_model(metadata: Metadata, channels: Sequence[int], hidden: int) -> nn.Module:
    """Columns of the convolved image, BiLSTM, last step, classes."""
    channels_in, height, _ = metadata["shape"]
    encoder = ColumnEncoder(conv_encoder(2, channels_in, channels, pool=1), height)
    rnn = Recurrent(encoder.out_features, hidden)
    head = Classes(Mlp(2 * hidden, ()), len(metadata["classes"]))
    return CnnRnn(encoder, rnn, Last(2 * hidden), head, encoder_dropout=0.3, temporal_dropout=0.3)


class Digits(Classification):
    """scikit-learn's digits, split by random_state=1: networks and deep forest."""

    name = "digits"
    data_source = "real"
    fields = layout(image="uint8 C H W", label="int64")
    inputs = ("image",)
    models = (
        ModelDefinition(
            "cnn",
            "Conv(2) -> dense -> Classes",
            "LeCun et al. 1998",
            image_model,
            {"channels": [32, 64], "features": 128},
        ),
        ModelDefinition(
            "cnn-lstm",
            "Column -> BiLSTM -> Last -> Classes",
            "ReNet: Visin et al. 2015, columns only",
            column_model,
            {"channels": [16, 16], "hidden": 48},
        ),
    )
    metadata_kinds = layout(shape="sizes", classes="names")
    recipe = task_recipe(epochs=30, lr=3e-3, batch_size=32, averaging=0.98)
    quick_epochs = 3
    sizes = Sizes(1147, 200, 450)
    quick_sizes = Sizes(300, 50, 100)
    targets = (
        Target("deep forest as published: 98.667 %", at_least("accuracy", "deep forest", 0.98666)),
        Target(
            "multi-grained scan above the deep forest of pixels",
            above("accuracy", ["scan, deep forest"], ["deep forest"]),
        ),
        Target(
            "deep forest above one random forest",
            above("accuracy", ["deep forest"], ["random forest"]),
        ),
    )

    def metadata(self) -> dict[str, Any]:
        return {"shape": [1, 8, 8], "classes": list(DIGIT_CLASSES)}

    def make(self, seed: int, sizes: Sizes) -> Dataset:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        digits: Any = load_digits()
        pixels = np.rint(digits.images[:, None] * (255 / 16)).astype(np.uint8)
        split: Any = train_test_split(pixels, digits.target.astype(np.int64), random_state=1)
        images, test_images, labels, test_labels = split
        # The seed selects the validation images among the training images.
        order = np.random.default_rng(seed).permutation(len(images))
        train, valid = order[: sizes.train], order[len(order) - sizes.valid :]
        return Dataset(
            train=Examples({"image": images[train], "label": labels[train]}),
            valid=Examples({"image": images[valid], "label": labels[valid]}),
            test=Examples({"image": test_images[: sizes.test], "label": test_labels[: sizes.test]}),
            metadata=self.metadata(),
        )

    def baselines(self, data: Dataset, quick: bool) -> Baselines:
        images, labels = (
            np.concatenate([data.train[name], data.valid[name]]) for name in ("image", "label")
        )
        images, test_images = images / 255.0, data.test["image"] / 255.0
        known, test = (pixels.reshape(len(pixels), -1) for pixels in (images, test_images))
        trees = 20 if quick else 100

        def cascade(known: np.ndarray, test: np.ndarray) -> Metrics:
            forest = DeepForest(trees=trees).fit(known, labels)
            return self.score(forest.probabilities(test).argmax(axis=1), data.test)

        def scanned() -> Metrics:
            widths = [min(images.shape[2:]) * share // 4 for share in ((2,) if quick else (2, 3))]
            scan = MultiGrainedScan(widths, trees=trees // 5)
            return cascade(scan.fit_transform(images, labels), scan.transform(test_images))

        def single_forest() -> Metrics:
            from sklearn.ensemble import RandomForestClassifier

            forest = RandomForestClassifier(4 * trees, random_state=0).fit(known, labels)
            return self.score(forest.predict(test), data.test)

        return {
            "scan, deep forest": scanned,
            "deep forest": lambda: cascade(known, test),
            "random forest": single_forest,
        }
