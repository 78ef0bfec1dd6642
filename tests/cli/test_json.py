"""`--json` and `--quiet` of every command."""

from __future__ import annotations

import json
import re
import shutil
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import polars as pl
import pytest

import danq
from danq.demo.demo_report import DemoReport
from danq_cli.as_json import as_json
from danq_cli.main import root, run
from danq_cli.show import WITHOUT_JSON
from tests.small_commands import CALLS, FP32

DOCS = Path(__file__).parents[2] / "docs" / "commands_json.md"
VISION = "--quick --epochs 1 --device cpu --threads 1"
OTHERS = {
    "simulate": "OUT --size 60k --variants 5",
    "merge": "OUT.tsv",
    "vision list": "direction",
    "vision train": f"direction --out OUT {VISION}",
    "vision predict": "OUT clip.npy --device cpu",
    "vision data": "direction --out OUT --quick",
    "vision bench": "direction --quick --device cpu --threads 1 --out OUT.json",
}
"""Calls of commands without an entry in `CALLS`; `demo` is tested separately."""

SLOW = {"train:from signals", "train:from sequences", "train:from peaks", "train:pretrained"}
"""Calls whose result is like that of another one."""


def commands(command: click.Command = root, path: str = "") -> Iterator[str]:
    """Names of all commands."""
    if not isinstance(command, click.Group):
        yield path
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from commands(found, f"{path} {name}".strip())


def strict(text: str) -> dict[str, Any]:
    """The one JSON object of a text; Python's extensions are refused."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    found = json.loads(text, parse_constant=refuse)
    assert isinstance(found, dict)
    return found


def documented() -> dict[str, set[str]]:
    """Fields of each command on the page of the documentation."""
    fields: dict[str, set[str]] = {}
    names: list[str] = []
    for line in DOCS.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            names = [name.removeprefix("danq ") for name in line[3:].split(", ")]
        elif line.startswith("| `"):
            own = re.findall(r"`(\w+)`", line.split("|")[1])
            for name in names:
                fields.setdefault(name, set()).update(own)
    return fields


FIELDS = documented()


def called(words: str, capsys) -> tuple[int, dict[str, Any], str]:
    """Exit code, JSON object and stderr of a command."""
    capsys.readouterr()
    code = run(words.split())
    shown = capsys.readouterr()
    return code, strict(shown.out), shown.err


@pytest.fixture
def folder(inputs, tmp_path, monkeypatch) -> Path:
    shutil.copytree(inputs, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("DANQ_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def small_task(monkeypatch) -> None:
    from danq.vision.task import Sizes
    from danq.vision.task_registry import load_task

    kind = type(load_task("direction"))
    monkeypatch.setattr(kind, "quick_sizes", Sizes(32, 8, 8))
    monkeypatch.setattr(kind, "models", kind.models[2:3])


def test_every_command_has_the_options_and_is_called(capsys):
    known = {name.partition(":")[0] for name in CALLS} | set(OTHERS) | {"demo"} | set(WITHOUT_JSON)
    # Those of vision share their reports.
    assert {name for name in commands() if not name.startswith("vision ")} <= known
    for name in commands():
        assert run([*name.split(), "--help"]) == 0
        text = capsys.readouterr().out
        assert "--json " in text
        assert "--quiet " in text


@pytest.mark.parametrize("name", [name for name in CALLS if name not in SLOW])
def test_the_result_is_one_object_with_the_documented_fields(name, folder, capsys):
    command = name.partition(":")[0]
    code, found, err = called(f"{command} {CALLS[name]} --json --quiet", capsys)
    assert code == 0, err
    assert list(found) == ["danq", "command", "result", "warnings", "seconds"]
    assert (found["danq"], found["command"]) == (danq.__version__, command)
    section = "train --folds" if name == "train:folds" else command
    assert set(found["result"]) == FIELDS[section]
    # Only the warnings, which are in the object, too.
    assert err == "".join(f"warning: {text}\n" for text in found["warnings"])


def test_results_have_the_numbers_of_the_outputs(folder, capsys):
    words = f"predict {CALLS['predict']} --json"
    _, found, err = called(words, capsys)
    result, table = found["result"], pl.read_csv("OUT.tsv", separator="\t", comment_prefix="#")
    assert result["rows"] == table.height
    assert result["tracks"] == ["Reb1", "Abf1"]
    assert result["path"] == "OUT.tsv"
    assert "OUT.tsv: " not in err
    _, found, _ = called(f"variants {CALLS['variants']} --json --overwrite", capsys)
    assert found["result"]["tally"]["rows"] == 25
    _, found, _ = called("data info data.h5 --json", capsys)
    assert found["result"]["windows"] == {"train": 60, "valid": 60, "test": 60}
    assert found["result"]["positives"] == [[8, 8, 8], [8, 8, 8]]
    _, found, _ = called(f"evaluate model.safetensors data.h5 --bootstrap 0 {FP32} --json", capsys)
    assert found["result"]["path"] is None
    assert len(found["result"]["table"]) == 2
    assert 0 <= found["result"]["overall"]["auroc_mean"] <= 1


def test_a_merge_lists_its_outputs(folder, capsys):
    shards = f"model.safetensors genome.fa --out OUT.tsv {FP32} --json --shard"
    for index in (1, 2):
        _, found, _ = called(f"predict {shards} {index}/2", capsys)
        assert found["result"]["shard"] == {"index": index, "count": 2}
    code, found, _ = called("merge OUT.tsv --json", capsys)
    assert code == 0
    (result,) = found["result"]
    assert set(result) == FIELDS["merge"]
    assert set(result["output"]) == FIELDS["predict"]
    assert len(result["folders"]) == 2


def test_simulate_and_vision(folder, small_task, capsys):
    code, found, _ = called(f"simulate {OTHERS['simulate']} --json", capsys)
    assert code == 0
    assert set(found["result"]) == FIELDS["simulate"]
    shutil.rmtree("OUT")
    _, found, err = called(f"vision train {OTHERS['vision train']} --json --quiet", capsys)
    assert set(found["result"]) == FIELDS["vision train"]
    assert err == ""
    np.save("clip.npy", np.zeros((10, 32, 32), np.uint8))
    _, found, _ = called(f"vision predict {OTHERS['vision predict']} --json", capsys)
    (result,) = found["result"]
    assert set(result) == FIELDS["vision predict"]
    assert len(result["lines"]) == 1
    _, found, _ = called("vision evaluate OUT --device cpu --json", capsys)
    assert set(found["result"]) == FIELDS["vision evaluate"]
    shutil.rmtree("OUT")
    _, found, _ = called(f"vision data {OTHERS['vision data']} --json", capsys)
    assert found["result"] == {"path": "OUT"}
    _, found, _ = called(f"vision bench {OTHERS['vision bench']} --json", capsys)
    assert found["result"] == json.loads(Path("OUT.json").read_text())["tasks"]
    _, found, _ = called("vision list direction --json", capsys)
    assert set(found["result"][0]) == FIELDS["vision list"]


def test_demo(tmp_path, monkeypatch, capsys):
    values = {"A": 0.5}
    effects = dict.fromkeys(
        ("effective", "correlation", "sign_agreement", "median_effect"), 1.0
    ) | {"neutral": 2.0, "median_neutral_effect": 0.0}
    nowhere = {"A": float("nan")}
    report = DemoReport(tmp_path, ("A",), values, values, nowhere, effects, {"train": 1.0})
    monkeypatch.setattr("danq.demo.run_demo", lambda *_, **__: report)
    _, found, _ = called("demo out --json", capsys)
    assert set(found["result"]) == FIELDS["demo"]
    assert found["result"]["base_rate"] == {"A": None}


def test_an_error_has_its_parts(folder, capsys):
    Path("rows.bed").write_text("one\t9\t5\n")
    code, found, err = called(f"predict {CALLS['predict']} --json", capsys)
    assert code == 2
    error = found["error"]
    assert list(found) == ["danq", "command", "error", "warnings", "seconds"]
    assert (error["exit_code"], error["file"], error["line"]) == (2, "rows.bed", 1)
    assert error["message"].startswith("rows.bed, line 1: ")
    assert error["problem"] in error["message"]
    assert f"danq: {error['message']}\n" in err
    assert not Path("OUT.tsv").exists()


def test_parts_of_an_error_name_options(folder, capsys):
    Path("OUT.tsv").write_text("other")
    _, found, _ = called(f"predict {CALLS['predict']} --json", capsys)
    assert "--overwrite" in found["error"]["remedy"]
    assert "--overwrite" in found["error"]["message"]


@pytest.mark.parametrize(
    ("words", "command", "message"),
    [
        ("predict --json --nonsense", "predict", "No such option '--nonsense'"),
        ("predict --nonsense --json", "predict", "No such option '--nonsense'"),
        ("predict --json", "predict", "Missing argument 'MODEL...'"),
        ("data nonsense --json", "data", "No such command 'nonsense'"),
        ("data info missing.h5 --json", "data info", "missing.h5"),
        ("predict model.safetensors short.fa --out - --json", "predict", "--out - writes a table"),
        (
            "serve model.safetensors --genome genome.fa --json",
            "serve",
            "--json does not apply to this command",
        ),
    ],
)
def test_wrong_calls_give_an_object(words, command, message, folder, capsys):
    code, found, err = called(words, capsys)
    assert code == found["error"]["exit_code"] == 2
    assert found["command"] == command
    assert message in found["error"]["message"]
    assert message in " ".join(err.split())


def test_a_bug_gives_an_object(monkeypatch, capsys):
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("danq.demo.run_demo", fail)
    code, found, err = called("demo out --json", capsys)
    assert code == 1
    assert found["error"] == {"message": "ZeroDivisionError: division by zero", "exit_code": 1}
    assert "Traceback" in err


def test_quiet_changes_only_stderr(folder, capsys):
    words = f"variants {CALLS['variants:table']} --overwrite"
    shown = []
    for more in ("", " --quiet"):
        assert run((words + more).split()) == 0
        shown.append(capsys.readouterr())
    assert shown[0].out == shown[1].out != ""
    words = f"predict model.safetensors short.fa --out - {FP32}"
    texts = []
    for more in ("", " --quiet"):
        assert run((words + more).split()) == 0
        texts.append(capsys.readouterr())
    assert texts[0].out == texts[1].out
    assert "standard output: 2 rows" in texts[0].err
    assert texts[1].err == ""


def test_standard_output_is_restored(capsys):
    assert run(["vision", "list", "nonsense", "--json"]) == 2
    strict(capsys.readouterr().out)
    assert run(["vision", "list", "direction"]) == 0
    assert capsys.readouterr().out.startswith("direction: ")


def test_values_become_those_of_json():
    @dataclass
    class One:
        path: Path
        _own: int = 1

    pair = namedtuple("pair", "low high")
    found = as_json(
        {
            "one": One(Path("a/b")),
            "pair": pair(np.float32("nan"), float("inf")),
            "table": pl.DataFrame({"a": [1, None], "b": ["x", "y"]}),
            "array": np.arange(4).reshape(2, 2),
            "set": {"b", "a"},
            "tuples": {("a", "b"): 0.5},
            5: True,
        }
    )
    assert found == {
        "one": {"path": "a/b"},
        "pair": {"low": None, "high": None},
        "table": [{"a": 1, "b": "x"}, {"a": None, "b": "y"}],
        "array": [[0, 1], [2, 3]],
        "set": ["a", "b"],
        "tuples": [{"names": ["a", "b"], "value": 0.5}],
        "5": True,
    }
    with pytest.raises(TypeError, match="JSON has no type for object"):
        as_json(object())
