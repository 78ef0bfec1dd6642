"""A small module in place of torchvision, which tests cannot import everywhere."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from danq.errors import InputError
from danq.vision.own_tasks.backbones import torchvision_models

URL = "https://models.example.org/resnet18-f37072fd.pth"


class SmallResnet(nn.Module):
    """A network whose parts have the names of torchvision's ResNet."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.layer1 = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.fc = nn.Linear(8, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn1(self.conv1(x)).relu()
        return self.fc((x + self.layer1(x)).mean(dim=(2, 3)))


class SmallTransformer(SmallResnet):
    """Takes images of one size, as vision transformers do."""

    def forward(self, x: Tensor) -> Tensor:
        torch._assert(x.shape[-1] == 224, f"Wrong image width! Expected 224 but got {x.shape[-1]}")
        return super().forward(x)


class SmallInception(SmallResnet):
    """Has two outputs while it is trained."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor] | Tensor:
        found = super().forward(x)
        return (found, found) if self.training else found


class SmallSqueezenet(nn.Sequential):
    """Ends with a convolution."""

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 1000, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())


MODELS: dict[str, Callable[[], nn.Module]] = {
    "inception_v3": SmallInception,
    "resnet18": SmallResnet,
    "squeezenet1_0": SmallSqueezenet,
    "vit_b_16": SmallTransformer,
}


def real_torchvision() -> ModuleType:
    """The classifiers of torchvision; skips a test where it cannot be imported."""
    try:
        return torchvision_models()
    except InputError as error:
        pytest.skip(str(error))


def use_small_torchvision(patch: pytest.MonkeyPatch) -> None:
    """Let ``import torchvision`` give the small module."""
    package, models = ModuleType("torchvision"), ModuleType("torchvision.models")
    package.models = models  # type: ignore[attr-defined]
    found = {
        "list_models": lambda module: sorted(MODELS),
        "get_model": lambda name, weights: MODELS[name](),
        "get_model_weights": lambda name: SimpleNamespace(DEFAULT=SimpleNamespace(url=URL)),
    }
    vars(models).update(found)
    patch.setitem(sys.modules, "torchvision", package)
    patch.setitem(sys.modules, "torchvision.models", models)
