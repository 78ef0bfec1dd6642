"""The example of docs/worked_example.md runs as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from danq.errors import InputError
from danq.vision import load_vision_model, register
from danq.vision import registry as known

PAGE = Path(__file__).resolve().parents[2] / "docs" / "worked_example.md"


def test_it_is_short_and_learns_what_neither_stream_could(tmp_path, monkeypatch, capsys):
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(code.splitlines()) < 60
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(known, "_OWN", {})
    space: dict = {"__name__": "example"}
    exec(compile(code, str(PAGE), "exec"), space)

    # By design the film alone is right in one case of three, the voice alone in one of four.
    assert space["result"].figures["accuracy"] > 0.5
    model = load_vision_model("runs/commands")
    assert model.spec.task == "commands"
    told = capsys.readouterr().out.splitlines()[1:]
    assert len(told) == 3
    names = [line.split("  ")[0].rsplit(" ", 1)[0] for line in told]
    assert set(names) <= set(model.spec.facts["classes"])
    with pytest.raises(InputError, match="no task is named 'nonsense'.*commands"):
        known.load_task("nonsense")


def test_names_of_danqs_own_tasks_are_taken():
    class Other(type(known.load_task("direction"))):
        about = "another"

    with pytest.raises(InputError, match="a task of danq is named 'direction'"):
        register(Other)
