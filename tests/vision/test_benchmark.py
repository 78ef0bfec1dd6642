"""A benchmark and the exit code of its command report models that did not learn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import danq.vision.benchmark as benchmark
from danq.vision import Recipe, RunSettings
from danq.vision.task import Sizes
from danq.vision.task_registry import load_task
from danq.vision.training_run import VisionResult, train
from danq_cli.main import run

WORDS = ["vision", "bench", "direction", "--quick", "--device", "cpu", "--threads", "1"]


def result(losses: tuple[float, float]) -> VisionResult:
    return VisionResult(
        directory=Path("x"),
        best_epoch=1,
        epochs=1,
        seconds=0.1,
        wait_fraction=0.0,
        history=[],
        rank=0,
        parameters=7,
        metrics={"accuracy": 0.5},
        losses=losses,
    )


@pytest.fixture(autouse=True)
def few(monkeypatch):
    task = load_task("direction")
    monkeypatch.setattr(type(task), "quick_sizes", Sizes(32, 8, 8))
    monkeypatch.setattr(type(task), "models", task.models[:2])


@pytest.mark.parametrize(("after", "code"), [(1.38, 0), (1.39, 1), (1.40, 1), (float("nan"), 1)])
def test_a_loss_that_does_not_decrease_is_reported(monkeypatch, capsys, after, code):
    def trained(task, *, model, **_):
        losses = (1.39, after if model == "cnn-lstm-vote" else 0.5)
        return result(losses)

    monkeypatch.setattr(benchmark, "train", trained)
    assert run(WORDS) == code
    text = capsys.readouterr().out
    assert ("cnn-lstm-vote: did NOT learn" in text) == bool(code)
    assert "cnn-lstm: did NOT learn" not in text


def test_the_loss_of_a_control_only_has_to_be_finite(monkeypatch, capsys):
    task = load_task("direction")
    models = [replace(one, control=one.name == "cnn-lstm-vote") for one in task.models[:2]]
    monkeypatch.setattr(type(task), "models", tuple(models))
    for after, code in ((1.40, 0), (float("nan"), 1)):

        def trained(task, *, model, after=after, **_):
            losses = (1.39, after if model == "cnn-lstm-vote" else 0.5)
            return result(losses)

        monkeypatch.setattr(benchmark, "train", trained)
        assert run(WORDS) == code
        assert ("cnn-lstm-vote: did NOT learn" in capsys.readouterr().out) == bool(code)


def test_an_output_that_cannot_be_written_is_refused_before_training(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(benchmark, "train", None)
    assert run([*WORDS, "--out", str(tmp_path / "missing" / "b.json")]) == 2
    assert "there is no folder" in capsys.readouterr().err
    out = tmp_path / "b.json"
    out.write_text("kept")
    assert run([*WORDS, "--out", str(out)]) == 2
    assert "b.json: exists already" in capsys.readouterr().err
    assert out.read_text() == "kept"


def test_training_returns_the_losses_before_and_after(tmp_path):
    quiet = RunSettings(device="cpu", threads=1, quiet=True)
    choices: dict[str, Any] = {"quick": True, "run": quiet, "model": "tcn"}
    before, after = train("adding", out=tmp_path / "run", **choices).losses
    assert after < before
    slow = Recipe(lr=1e-12, epochs=1)
    other = train("adding", out=tmp_path / "not", recipe=slow, **choices)
    assert other.losses[0] == before
    assert other.losses[1] == pytest.approx(before, rel=1e-4)
