"""Faces among other patches of photographs."""

from __future__ import annotations

from typing import Any

import numpy as np

from danq.errors import needs_package
from danq.training.problem import Metrics
from danq.vision.base_tasks import Classification, nearest_images
from danq.vision.dataset import Dataset, Examples, layout
from danq.vision.task import Baselines, ModelDefinition, Sizes, Target, above, task_recipe
from danq.vision.tasks.digit_classification import column_model, image_model

CLASSES = ("face", "other")


class Faces(Classification):
    """scikit-image's 100 faces and 100 other patches of photographs, 25 x 25 pixels."""

    name = "faces"
    data_source = "real"
    fields = layout(image="uint8 C H W", label="int64")
    inputs = ("image",)
    models = (
        ModelDefinition(
            "cnn",
            "Conv(2) -> dense -> Classes",
            "LeCun et al. 1998",
            image_model,
            {"channels": [16, 32, 48], "features": 64},
        ),
        ModelDefinition(
            "cnn-lstm",
            "Column -> BiLSTM -> Last -> Classes",
            "ReNet: Visin et al. 2015, columns only",
            column_model,
            {"channels": [12, 12], "hidden": 32},
        ),
    )
    metadata_kinds = layout(shape="sizes", classes="names")
    recipe = task_recipe(epochs=30, lr=2e-3, batch_size=16, averaging=0.98, monitor="epoch")
    quick_epochs = 5
    sizes = Sizes(110, 20, 70)
    quick_sizes = Sizes(110, 20, 70)
    targets = (Target("above 1-NN of pixels", above("accuracy", ["cnn"], ["1-NN pixels"])),)

    def metadata(self) -> dict[str, Any]:
        return {"shape": [1, 25, 25], "classes": list(CLASSES)}

    def make(self, seed: int, sizes: Sizes) -> Dataset:
        with needs_package("the images are in the package scikit-image", "vision"):
            from skimage.data import lfw_subset
        pixels = np.rint(lfw_subset()[:, None] * 255).astype(np.uint8)
        labels = np.repeat(np.arange(2), len(pixels) // 2)
        # The test images are fixed; the seed selects the validation images among the others.
        fixed = np.random.default_rng(0).permutation(len(pixels))
        test, rest = fixed[:70], np.random.default_rng(seed).permutation(fixed[70:])
        rows = {
            "train": rest[: sizes.train],
            "valid": rest[len(rest) - sizes.valid :],
            "test": test[: sizes.test],
        }
        splits = {
            split: Examples({"image": pixels[index], "label": labels[index]})
            for split, index in rows.items()
        }
        return Dataset(metadata=self.metadata(), **splits)

    def baselines(self, data: Dataset, quick: bool) -> Baselines:
        def nearest() -> Metrics:
            labels = data.train["label"][nearest_images(data.train, data.test)]
            return self.score(labels, data.test)

        return {"1-NN pixels": nearest}
