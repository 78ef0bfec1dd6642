"""Classes, labels and values of images."""

from __future__ import annotations

from functools import partial
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from danq.core import Classes, Mlp, MultiLabel, features_of
from danq.vision.dataset import Metadata, layout
from danq.vision.own_tasks.backbones import BACKBONE, BACKBONE_RECIPE
from danq.vision.own_tasks.image_networks import image_vector
from danq.vision.own_tasks.own_task import ClassTask, LabelTask, ValueTask
from danq.vision.own_tasks.value_scale import ScaledValues
from danq.vision.task import ModelDefinition, task_recipe


class ImageNetwork(nn.Module):
    """A network of an image and a head.

    Parameters
    ----------
    network
        ``(B, C, H, W) -> (B, F)``.
    head
        ``(B, F) -> (B, K)``.
    """

    def __init__(self, network: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.network, self.head = network, head

    def forward(self, image: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K"]:
        return self.head(self.network(image))


def image_network(
    metadata: Metadata,
    *,
    target: str,
    dropout: float,
    **hyperparameters: Any,
) -> ImageNetwork:
    """Make a network of images.

    Parameters
    ----------
    metadata
        ``shape``, ``normalisation``, and ``classes`` or ``names`` and ``scale``.
    target
        "classes", "labels" or "values".
    dropout
        Dropout before the head.
    hyperparameters
        As `image_vector` takes them.
    """
    body = image_vector(metadata, **hyperparameters)
    inner = Mlp(features_of(body), (), input_dropout=dropout)
    return ImageNetwork(body, target_head(metadata, target, inner))


def target_head(metadata: Metadata, target: str, inner: nn.Module) -> nn.Module:
    """Make the head of classes, labels or values after a module with ``out_features``."""
    if target == "values":
        head = MultiLabel(inner, len(metadata["names"]))
        return ScaledValues(head, metadata["scale"]["mean"], metadata["scale"]["std"])
    kind = Classes if target == "classes" else MultiLabel
    return kind(inner, len(metadata["classes"]))


def _models(target: str) -> tuple[ModelDefinition, ...]:
    heads = {"classes": "Classes", "labels": "MultiLabel", "values": "MultiLabel of values"}
    return (
        ModelDefinition(
            "resnet",
            f"residual Conv(2) -> Mean -> {heads[target]}",
            "He et al., CVPR 2016, smaller",
            partial(image_network, target=target),
            {
                "network": "resnet",
                "channels": [32, 64, 128, 256],
                "blocks": 1,
                "features": 0,
                "dropout": 0.2,
            },
        ),
        ModelDefinition(
            "cnn",
            f"Conv(2) -> cells -> Mlp -> {heads[target]}",
            "LeCun et al. 1998, with batch normalisation",
            partial(image_network, target=target),
            {
                "network": "cnn",
                "channels": [16, 32, 64, 128],
                "blocks": 1,
                "features": 128,
                "dropout": 0.2,
            },
        ),
        ModelDefinition(
            "backbone",
            f"torchvision's classifier -> {heads[target]}",
            "Donahue et al., ICML 2014 (features of a pretrained network)",
            partial(image_network, target=target),
            BACKBONE | {"dropout": 0.2},
            BACKBONE_RECIPE,
        ),
    )


class ImageClasses(ClassTask):
    """Your own images with one class each."""

    name = "image-classes"
    fields = layout(image="uint8 C H W", label="int64")
    inputs = ("image",)
    entries = ("shape", "classes")
    models = _models("classes")
    recipe = task_recipe(epochs=20, lr=2e-3, weight_decay=1e-2, batch_size=32)


class ImageLabels(LabelTask):
    """Your own images with several labels each."""

    name = "image-labels"
    fields = layout(image="uint8 C H W", labels="bool K")
    inputs = ("image",)
    entries = ("shape", "classes")
    models = _models("labels")
    recipe = ImageClasses.recipe


class ImageValues(ValueTask):
    """Your own images with one or several values each."""

    name = "image-values"
    fields = layout(image="uint8 C H W", values="float32 K")
    inputs = ("image",)
    entries = ("shape", "names", "scale")
    models = _models("values")
    recipe = ImageClasses.recipe
