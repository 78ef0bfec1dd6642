"""Registration of tasks: which are refused, and the errors for unregistered ones."""

from __future__ import annotations

import pytest

from danq.errors import InputError
from danq.vision import Recipe, RunSettings, load_vision_model, predict, register, summary, train
from danq.vision import task_registry as known
from danq.vision.task import Sizes
from danq.vision.tasks.motion_direction import Direction
from danq_cli.main import run

CHOICES = {
    "quick": True,
    "run": RunSettings(device="cpu", threads=1, quiet=True),
    "model": "c3d",
}


class Turns(Direction):
    name = "turns"
    quick_sizes = Sizes(48, 8, 8)


@pytest.fixture(autouse=True)
def _no_registered_tasks(monkeypatch):
    monkeypatch.setattr(known, "_REGISTERED", {})


def test_a_task_that_is_not_registered_is_refused_before_making_examples(tmp_path, monkeypatch):
    monkeypatch.setattr(Turns, "make", None)
    with pytest.raises(InputError) as caught:
        train(Turns(), out=tmp_path / "run", **CHOICES)
    assert "the task 'turns' is not registered" in str(caught.value)
    assert "@danq.vision.register before class Turns" in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_task_with_the_name_of_another_is_refused(tmp_path):
    class Other(Direction):
        """Has the name of its base."""

    with pytest.raises(InputError, match="'direction' is the name of another task than this Other"):
        train(Other(), out=tmp_path / "run", **CHOICES)
    register(Turns)

    class Turns2(Turns):
        """Has the name of its base."""

    with pytest.raises(InputError, match="'turns' is the name of another task"):
        train(Turns2(), out=tmp_path / "run", **CHOICES)


def test_loading_a_model_of_an_unregistered_task_names_the_task(tmp_path, monkeypatch, capsys):
    register(Turns)
    folder = tmp_path / "run"
    train(Turns(), out=folder, recipe=Recipe(epochs=1), **CHOICES)
    lines = predict(folder, Turns().make(0, Sizes(2, 2, 2)).test, device="cpu")
    classes = load_vision_model(folder).spec.metadata["classes"]
    assert [line.split()[0] in classes for line in lines] == [True, True]
    monkeypatch.setattr(known, "_REGISTERED", {})
    message = r"model.safetensors: a model of the task 'turns', which is not registered.*register"
    for use in (load_vision_model, summary, lambda path: predict(path, path, device="cpu")):
        with pytest.raises(InputError, match=message):
            use(folder)
    assert run(["vision", "predict", str(folder), str(folder)]) == 2
    shown = capsys.readouterr().err
    assert "task 'turns', which is not registered here. Import the module" in shown
    assert "Traceback" not in shown
