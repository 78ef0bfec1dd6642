"""Image classifiers of torchvision as networks of images and frames."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from danq.core import Freezable, without_classifier
from danq.errors import InputError, MissingPackage
from danq.vision.dataset import Metadata
from danq.vision.own_tasks.pixel_normalisation import Normalised

BACKBONE: dict[str, Any] = {"backbone": "resnet18", "weights": "none"}
"""Hyperparameters of a `Backbone`, as tasks give them to `backbone_of`."""

BACKBONE_RECIPE = {"lr": 1e-3}
"""Settings of the training of a model with a backbone that differ from those of its task."""

_TYPICAL = ("resnet18", "resnet50", "mobilenet_v3_small", "efficientnet_b0", "convnext_tiny")
_TYPICAL_SIZE = 224
_BATCH = (1, 2)
"""Batches on which a backbone is tried: one image can be too few for batch normalisation."""

_FORWARD_ERRORS = (AssertionError, LookupError, RuntimeError, TypeError, ValueError)


class Backbone(Freezable):
    """A classifier of torchvision without its last dense layer: ``(B, C, H, W) -> (B, F)``.

    Parameters
    ----------
    name
        Name of the classifier in torchvision.
    normalisation
        As `Normalised` takes it. Grey images are repeated to three channels first.

    Raises
    ------
    InputError
        When torchvision cannot be imported, or has no classifier of that name that ends with a
        dense layer.
    """

    def __init__(self, name: str, normalisation: str = "none") -> None:
        super().__init__()
        network, self.out_features, self.removed = _without_classifier(name)
        self.name = name
        self.normalised = Normalised(network, normalisation, 3, self.out_features)

    @property
    def network(self) -> nn.Module:
        """The network, with the names that torchvision gives to its parts."""
        return self.normalised.network

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        return self.normalised(x.expand(-1, 3, -1, -1))


def backbone_of(metadata: Metadata, backbone: str, weights: str) -> Backbone:
    """Make a `Backbone` for the images of a dataset.

    Its values are random: ``weights`` are read when a training starts
    (`danq.vision.own_tasks.backbone_weights`), and a model file holds those that were trained.
    """
    return Backbone(backbone, metadata.get("normalisation", "none"))


def torchvision_models() -> ModuleType:
    """The module of torchvision that has the classifiers.

    Raises
    ------
    InputError
        When torchvision is not installed, or is built for another torch.
    """
    try:
        from torchvision import models  # type: ignore[import-not-found]
    except ModuleNotFoundError as error:
        if error.name not in ("torchvision", "torchvision.models"):
            raise
        raise MissingPackage(
            "backbones need torchvision, which is not installed",
            remedy="Install danq with its extra 'backbones', as in pip install 'danq[backbones]'",
        ) from error
    except (AttributeError, ImportError, OSError, RuntimeError) as error:
        raise InputError(
            f"torchvision {_version('torchvision')} cannot be imported beside torch "
            f"{torch.__version__} ({error})",
            remedy="torch and torchvision must be built for each other, and for the same devices. "
            "Install both from PyPI, or both from the same part of PyTorch's package index (such "
            "as its builds for CPUs), in one call of pip",
        ) from error
    return models


def check_backbone(name: str) -> None:
    """Check that torchvision can be imported and has a classifier of that name.

    Raises
    ------
    InputError
        When it does not.
    """
    models = torchvision_models()
    known = models.list_models(module=models)
    if name not in known:
        near = difflib.get_close_matches(name, known, 3) or [
            one for one in _TYPICAL if one in known
        ]
        raise InputError(
            f"torchvision {_version('torchvision')} has no classifier '{name}'",
            remedy=f"It has {len(known)}, such as {', '.join(near)}",
        )


def check_fit(name: str, shape: Sequence[int]) -> None:
    """Check that a backbone can be trained on images or frames ``(..., C, H, W)``.

    Raises
    ------
    InputError
        When it has several outputs, or the images have the wrong size for it.
    """
    height, width = shape[-2:]
    # Some cannot be made on the meta device.
    backbone = Backbone(name).to("meta")
    try:
        found = _is_vector(backbone, [height, width])
    except _FORWARD_ERRORS as error:
        if not _fits(backbone, [_TYPICAL_SIZE, _TYPICAL_SIZE]):
            raise _refused(name, "it does not return one vector per image") from error
        raise InputError(
            f"the backbone '{name}' cannot be trained on images of {height} x {width} pixels "
            f"(height x width): {error}",
            remedy=f"Set a larger size; {_TYPICAL_SIZE} fits every backbone",
        ) from error
    if not found:
        raise _refused(name, "it does not return one vector per image")


def _is_vector(backbone: Backbone, size: Sequence[int]) -> bool:
    """Whether the output in training is one vector per image."""
    found = [backbone(torch.empty(batch, 3, *size, device="meta")) for batch in _BATCH]
    width = (backbone.out_features,)
    return all(isinstance(one, Tensor) and one.shape[1:] == width for one in found)


def _fits(backbone: Backbone, size: Sequence[int]) -> bool:
    try:
        return _is_vector(backbone, size)
    except _FORWARD_ERRORS:
        return False


def _without_classifier(name: str) -> tuple[nn.Module, int, str]:
    """A classifier without its last dense layer, the features that it read, and its name."""
    check_backbone(name)
    with warnings.catch_warnings():
        # torchvision warns of initial values that it will change.
        warnings.simplefilter("ignore", FutureWarning)
        network = torchvision_models().get_model(name, weights=None)
    dense = [part for part, module in network.named_modules() if isinstance(module, nn.Linear)]
    try:
        return *without_classifier(network), dense[-1] if dense else ""
    except ValueError as error:
        raise _refused(name, str(error)) from error


def _refused(name: str, reason: str) -> InputError:
    return InputError(
        f"'{name}' cannot be a backbone: {reason}",
        remedy=f"Choose another one, such as {', '.join(_TYPICAL)}",
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(unknown version)"


def backbone_settings(hyperparameters: Mapping[str, Any]) -> tuple[str, str] | None:
    """Name and weights of the backbone of a model; None without one."""
    if "backbone" not in hyperparameters:
        return None
    name, weights = (hyperparameters.get(key, value) for key, value in BACKBONE.items())
    return name, weights
