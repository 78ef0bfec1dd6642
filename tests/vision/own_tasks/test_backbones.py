"""Backbones of torchvision: weights, normalisation, freezing, and what is refused."""

from __future__ import annotations

import re
import sys
from urllib.error import URLError

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from danq.errors import InputError
from danq.training.fit import Fit
from danq.vision import RunSettings, load_vision_model, predict, train
from danq.vision.dataset import Dataset
from danq.vision.own_tasks.backbones import Backbone, check_fit, torchvision_models
from danq.vision.own_tasks.pixel_normalisation import IMAGENET
from tests.vision.small_own_data import small_data
from tests.vision.small_torchvision import SmallResnet, real_torchvision, use_small_torchvision

QUIET = RunSettings(device="cpu", threads=1, quiet=True)
SETTINGS = {"epochs": 1, "batch_size": 12}


@pytest.fixture
def small(monkeypatch):
    use_small_torchvision(monkeypatch)


@pytest.fixture
def state():
    """Weights of the small ResNet, without a normalisation that would undo changes of the first."""
    torch.manual_seed(8)
    found = SmallResnet().state_dict()
    return {name: value + 0.25 if "running" in name else value for name, value in found.items()}


def data_of(task="image-classes", normalisation=None) -> Dataset:
    data = small_data(task, 24)
    del data.metadata["normalisation"]
    if normalisation:
        data.metadata["normalisation"] = normalisation
    return data


def steps(monkeypatch):
    """States of the module before each step."""
    states, step = [], Fit._step

    def watched(self, *batch):
        states.append({name: value.clone() for name, value in self.plain.state_dict().items()})
        return step(self, *batch)

    monkeypatch.setattr(Fit, "_step", watched)
    return states


def trained(folder, weights="none", task="image-classes", data=None, **settings):
    return train(
        task,
        data=data or data_of(task),
        out=folder / "run",
        model="backbone",
        settings={"weights": str(weights), **SETTINGS, **settings},
        run=QUIET,
    )


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("form", ["safetensors", "pt", "checkpoint"])
def test_a_training_starts_from_a_file_and_a_model_needs_it_no_more(
    tmp_path, monkeypatch, state, form
):
    if form == "safetensors":
        path = tmp_path / "own.safetensors"
        save_file(state, path)
    else:
        path = tmp_path / "own.pt"
        wrapped = {"state_dict": {f"module.{name}": value for name, value in state.items()}}
        torch.save(state if form == "pt" else wrapped, path)
    states = steps(monkeypatch)
    trained(tmp_path, path)
    first = {
        name.removeprefix("network.normalised.network."): value
        for name, value in states[0].items()
        if ".normalised." in name
    }
    assert first.keys() == state.keys() - {"fc.weight", "fc.bias"}
    assert all(torch.equal(value, state[name]) for name, value in first.items())
    path.unlink()
    model = load_vision_model(tmp_path / "run")
    assert model.spec.metadata["normalisation"] == "imagenet"
    assert len(predict(tmp_path / "run", data_of().test, device="cpu")) == 6


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("task", ["image-classes", "video-classes"])
def test_frozen_weights_and_statistics_stay_and_then_change(tmp_path, monkeypatch, state, task):
    path = tmp_path / "own.safetensors"
    save_file(state, path)
    states = steps(monkeypatch)
    slow = {"epochs": 2, "frozen_epochs": 1, "encoder_lr": 0.1}
    trained(tmp_path, path, task, **slow)
    assert len(states) == 4
    backbone = [name for name in states[0] if ".normalised." in name]
    assert len(backbone) == len(state) - 2
    for name, value in states[0].items():
        assert torch.equal(states[2][name], value) == (name in backbone), name
    for name in backbone:
        assert not torch.equal(states[3][name], states[0][name]), name


def test_normalisation_and_grey_images(small):
    torch.manual_seed(0)
    plain, normalised = Backbone("resnet18").eval(), Backbone("resnet18", "imagenet").eval()
    normalised.load_state_dict(plain.state_dict())
    grey = torch.rand(2, 1, 16, 16)
    mean, std = (torch.tensor(one).view(3, 1, 1) for one in IMAGENET)
    expected = plain((grey.expand(-1, 3, -1, -1) - mean) / std)
    torch.testing.assert_close(normalised(grey), expected)
    assert expected.shape == (2, 8)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(("own", "expected"), [(None, "imagenet"), ("none", "none")])
def test_the_weights_decide_on_the_normalisation_unless_the_data_does(
    tmp_path, state, own, expected
):
    path = tmp_path / "own.safetensors"
    save_file(state, path)
    trained(tmp_path, path, data=data_of(normalisation=own))
    assert load_vision_model(tmp_path / "run").spec.metadata["normalisation"] == expected


@pytest.mark.usefixtures("small")
def test_default_weights_are_downloaded_once_and_only_for_training(tmp_path, monkeypatch, state):
    calls = []

    def download(url, path, hash_prefix, progress):
        calls.append((url, hash_prefix))
        torch.save(state, path)

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    trained(tmp_path, "default")
    load_vision_model(tmp_path / "run")
    trained(tmp_path / "again", "default")
    assert calls == [("https://models.example.org/resnet18-f37072fd.pth", "f37072fd")]

    def fail(*_, **__):
        raise URLError("no network")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "other"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(InputError, match=r"'resnet18' cannot be downl.*no network.*Put the"):
        trained(tmp_path / "third", "default")
    assert not (tmp_path / "third").exists()


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("bn1.weight"), r"they lack 1 tensors, such as bn1\.weight"),
        (lambda s: s.update(extra=torch.ones(1)), "they also have 1 tensors, such as extra"),
        (lambda s: s.update({"bn1.bias": torch.ones(3)}), r"bn1\.bias has the shape \(3,\), not"),
        (lambda s: s["bn1.bias"].fill_(np.nan), r"bn1\.bias is NaN or infinite"),
    ],
)
def test_weights_that_do_not_fit_are_refused_before_writing(tmp_path, state, change, message):
    change(state)
    path = tmp_path / "own.safetensors"
    save_file(state, path)
    with pytest.raises(InputError, match=rf"own\.safetensors: .*'resnet18'.*{message}"):
        trained(tmp_path, path)
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weights": "no.pt"}, r"no\.pt: there is no such file of weights"),
        ({"backbone": "resnet"}, "has no classifier 'resnet'.*resnet18"),
        ({"backbone": "squeezenet1_0"}, "'squeezenet1_0' cannot be a backbone.*no dense layer"),
        ({"backbone": "inception_v3"}, "'inception_v3' cannot be a backbone.*one vector"),
        ({"backbone": "vit_b_16"}, r"'vit_b_16' cannot.*9 x 11 pixels.*Expected 224.*larger size"),
        ({"backbone": 18}, "'backbone' is 18, not text"),
    ],
)
def test_other_settings_are_refused_before_writing(tmp_path, settings, message):
    with pytest.raises(InputError, match=message):
        trained(tmp_path, **settings)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RuntimeError("operator torchvision::nms does not exist"), "beside torch.*nms.*CPUs"),
        (ModuleNotFoundError("x", name="torchvision"), r"not installed.*danq\[backbones\]"),
    ],
)
def test_a_torchvision_that_cannot_be_imported_is_named(monkeypatch, error, message):
    class Finder:
        def find_spec(self, name, path=None, target=None):
            if name == "torchvision":
                raise error

    for name in [one for one in sys.modules if re.match(r"torchvision(\.|$)", one)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    with pytest.raises(InputError, match=message):
        torchvision_models()


@pytest.mark.parametrize(
    "name", ["resnet18", "mobilenet_v3_small", "efficientnet_b0", "convnext_tiny", "vit_b_16"]
)
def test_classifiers_of_torchvision_are_backbones(name):
    real_torchvision()
    check_fit(name, (3, 224, 224))
