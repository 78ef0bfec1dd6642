"""The code of docs/worked_example.md runs and learns."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from danq.errors import InputError
from danq.vision import load_vision_model, register
from danq.vision import task_registry as known

PAGE = Path(__file__).resolve().parents[2] / "docs" / "worked_example.md"


def test_the_example_is_short_and_uses_both_streams(tmp_path, monkeypatch, capsys):
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(code.splitlines()) < 60
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(known, "_REGISTERED", {})
    space: dict = {"__name__": "example"}
    exec(compile(code, str(PAGE), "exec"), space)

    # Three commands are possible for a video alone, four for a voice alone.
    assert space["result"].metrics["accuracy"] > 0.5
    model = load_vision_model("runs/commands")
    assert model.spec.task == "commands"
    lines = capsys.readouterr().out.splitlines()[1:]
    assert len(lines) == 3
    names = [line.split("  ")[0].rsplit(" ", 1)[0] for line in lines]
    assert set(names) <= set(model.spec.metadata["classes"])
    with pytest.raises(InputError, match="no task is named 'nonsense'.*commands"):
        known.load_task("nonsense")


def test_names_of_danq_tasks_are_refused():
    class Other(type(known.load_task("direction"))):
        """Has the name of a task of danq."""

    with pytest.raises(InputError, match="danq has a task named 'direction'"):
        register(Other)
