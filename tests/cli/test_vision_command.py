from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from danq.vision.task import Sizes
from danq.vision.task_registry import load_task
from danq.vision.tasks import visual_questions
from danq_cli.main import run


@pytest.fixture
def small(monkeypatch):
    """The task "direction" with few examples and two models."""
    kind = type(load_task("direction"))
    monkeypatch.setattr(kind, "quick_sizes", Sizes(96, 16, 16))
    monkeypatch.setattr(kind, "models", kind.models[2:4])


def test_list_shows_tasks_and_models(capsys):
    assert run(["vision", "list", "direction", "copy"]) == 0
    text = capsys.readouterr().out
    assert "direction: Direction of a digit" in text
    assert "Conv(3) -> Mean -> Classes" in text
    # Three convolutions of 3 x 3 x 3, each with biases and a batch normalisation; four classes.
    convolutions = 27 * (1 * 8 + 8 * 16 + 16 * 32) + 3 * (8 + 16 + 32)
    assert f"{convolutions + 32 * 4 + 4:,}" in text
    assert "Bai, Kolter & Koltun" in text


def test_list_has_tasks_of_missing_packages_without_parameters(monkeypatch, capsys):
    visual_questions.questions.cache_clear()
    monkeypatch.setitem(sys.modules, "easy_vqa", None)
    assert run(["vision", "list"]) == 0
    shown = capsys.readouterr()
    assert "direction: Direction of a digit" in shown.out
    assert "vqa is listed without numbers of parameters: the questions are in the" in shown.err
    assert "pip install 'danq[vision]'" in shown.err
    lines = shown.out.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("vqa: "))
    assert lines[start + 1].split("  ")[-2].strip() == "?"
    assert "13 answers. Data: made (easy-vqa)" in shown.out


def test_train_predict_and_data_write_their_outputs(small, tmp_path, capsys):
    folder = str(tmp_path / "run")
    arguments = ["--quick", "--device", "cpu", "--threads", "1"]
    assert run(["vision", "train", "direction", "--out", folder, "--epochs", "1", *arguments]) == 0
    assert "best epoch 1 of 1 epoch; test split: accuracy" in capsys.readouterr().out
    clip = load_task("direction").make(0, Sizes(2, 2, 2)).test["clip"][0]
    np.save(tmp_path / "clip.npy", clip)
    assert run(["vision", "predict", folder, str(tmp_path / "clip.npy"), "--device", "cpu"]) == 0
    assert capsys.readouterr().out.split()[0] in ("left", "right", "up", "down")
    assert run(["vision", "train", "direction", "--out", folder, *arguments]) == 2
    assert "exists already" in capsys.readouterr().err
    assert run(["vision", "data", "direction", "--out", str(tmp_path / "d"), "--quick"]) == 0
    assert (tmp_path / "d" / "valid" / "clip.npy").is_file()


def test_bench_writes_a_table(small, tmp_path, capsys):
    out = tmp_path / "bench.json"
    arguments = ["--quick", "--device", "cpu", "--threads", "1", "--out", str(out)]
    assert run(["vision", "bench", "direction", *arguments]) == 0
    text = capsys.readouterr().out
    assert "accuracy" in text
    assert "not evaluated in the quick form" in text
    assert len(json.loads(out.read_text())["tasks"]) == 1
    out.write_text("old")
    assert run(["vision", "bench", "direction", *arguments, "--overwrite"]) == 0
    assert len(json.loads(out.read_text())["tasks"]) == 1


def test_invalid_names_are_refused(tmp_path, capsys):
    assert run(["vision", "train", "nonsense", "--out", str(tmp_path / "x")]) == 2
    assert "no task is named 'nonsense'" in capsys.readouterr().err
    assert run(["vision", "train", "copy", "--out", str(tmp_path / "x"), "--model", "cnn"]) == 2
    assert "no model 'cnn'" in capsys.readouterr().err
    arguments = ["vision", "train", "copy", "--out", str(tmp_path / "x"), "--resume", "--overwrite"]
    assert run(arguments) == 2
    assert not (tmp_path / "x").exists()
