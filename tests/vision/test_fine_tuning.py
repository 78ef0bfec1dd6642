"""Fine-tuning of a backbone with the structure of torchvision's models."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from danq.core import Classes, CnnRnn, FrameEncoder, Last, Mlp, Recurrent, without_classifier
from danq.errors import InputError
from danq.training.fit import Fit
from danq.vision import Recipe, RunSettings, train
from danq.vision.task import ModelDefinition, Sizes
from danq.vision.task_registry import load_task
from tests.vision.small_torchvision import real_torchvision

RECIPE = Recipe(epochs=3, batch_size=32, frozen_epochs=1, encoder_lr=0.1)


class SmallResnet(nn.Module):
    """A network whose parts have the names of torchvision's ResNet."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.layer1 = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(8, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn1(self.conv1(x)).relu()
        x = x + self.layer1(x)
        return self.fc(self.dropout(x.mean(dim=(2, 3))))


def fine_tuned(metadata, hidden: int) -> nn.Module:
    encoder = FrameEncoder(*without_classifier(SmallResnet()))
    rnn = Recurrent(encoder.out_features, hidden, bidirectional=False)
    return CnnRnn(encoder, rnn, Last(hidden), Classes(Mlp(hidden, ()), len(metadata["classes"])))


@pytest.fixture
def choices(monkeypatch):
    """Settings of training, with the backbone as the model of the task "direction"."""
    task = load_task("direction")
    monkeypatch.setattr(
        type(task),
        "models",
        (ModelDefinition("tuned", "Frame -> LSTM -> Classes", "", fine_tuned, {"hidden": 8}),),
    )
    data = task.make(0, Sizes(96, 16, 16))
    quiet = RunSettings(device="cpu", threads=1, quiet=True)
    return {"data": data, "recipe": RECIPE, "run": quiet}


def watch(monkeypatch, die_at: int | None = None) -> list[dict[str, Tensor]]:
    """States of the module before each step."""
    states = []
    step = Fit._step

    def watched(self, *batch):
        if self.progress.step == die_at:
            raise KeyboardInterrupt
        states.append({name: value.clone() for name, value in self.plain.state_dict().items()})
        return step(self, *batch)

    monkeypatch.setattr(Fit, "_step", watched)
    return states


def test_the_backbone_is_frozen_during_the_first_epochs(choices, tmp_path, monkeypatch):
    states = watch(monkeypatch)
    train("direction", out=tmp_path / "run", **choices)
    first, thawed, after = states[0], states[3], states[4]
    backbone = [name for name in first if name.startswith("encoder.backbone.")]
    assert {"encoder.backbone.bn1.running_mean", "encoder.backbone.conv1.weight"} <= set(backbone)
    for name, value in first.items():
        assert torch.equal(thawed[name], value) == (name in backbone), name
    for name in backbone:
        assert not torch.equal(after[name], first[name]), name


@pytest.mark.parametrize("kill_at", [2, 3, 7])
def test_resumed_equals_uninterrupted(choices, tmp_path, monkeypatch, kill_at):
    train("direction", out=tmp_path / "whole", **choices)
    with monkeypatch.context() as patched:
        watch(patched, kill_at)
        with pytest.raises(KeyboardInterrupt):
            train("direction", out=tmp_path / "cut", **choices)
    train("direction", out=tmp_path / "cut", resume=True, **choices)
    cut, whole = (tmp_path / name / "model.safetensors" for name in ("cut", "whole"))
    assert cut.read_bytes() == whole.read_bytes()


def test_a_model_without_convolutions_is_refused_before_writing(tmp_path):
    with pytest.raises(InputError, match="no convolutional encoder to freeze"):
        train("adding", model="lstm", out=tmp_path / "run", quick=True, recipe=RECIPE)
    assert not (tmp_path / "run").exists()


def test_torchvision_resnet_is_fine_tuned(choices, tmp_path, monkeypatch):
    models = real_torchvision()

    class Rgb(nn.Module):
        """Repeats grey frames to the three channels of torchvision's networks."""

        def __init__(self, backbone: nn.Module) -> None:
            super().__init__()
            self.backbone = backbone

        def forward(self, x: Tensor) -> Tensor:
            return self.backbone(x.expand(-1, 3, -1, -1))

    def resnet(metadata, hidden: int) -> nn.Module:
        backbone, features = without_classifier(models.resnet18())
        encoder = FrameEncoder(Rgb(backbone), features)
        rnn = Recurrent(features, hidden, bidirectional=False)
        return CnnRnn(
            encoder, rnn, Last(hidden), Classes(Mlp(hidden, ()), len(metadata["classes"]))
        )

    model = ModelDefinition("resnet", "Frame -> LSTM -> Classes", "", resnet, {"hidden": 8})
    monkeypatch.setattr(type(load_task("direction")), "models", (model,))
    states = watch(monkeypatch)
    few = load_task("direction").make(0, Sizes(12, 4, 4))
    recipe = RECIPE.replaced(Recipe(epochs=2, batch_size=6))
    train("direction", out=tmp_path / "run", **choices | {"data": few, "recipe": recipe})
    first, thawed, after = states[0], states[2], states[3]
    backbone = [name for name in first if name.startswith("encoder.")]
    assert len(backbone) == 120
    assert all(torch.equal(thawed[name], first[name]) for name in backbone)
    assert not torch.equal(after[backbone[0]], first[backbone[0]])
