"""`danq evaluate` on files, with an untrained model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from danq.models import save_model
from danq.models.architecture import Architecture
from danq.models.model_file import untrained
from danq_cli.main import run
from tests.bfloat16 import needs_bf16
from tests.small_dataset import small_dataset

SMALL = Architecture(filters=4, width=6, pool=4, hidden=3, dense=(5,))


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    data = small_dataset(90, 2000)
    data.save(tmp_path / "data.h5")
    model = untrained("test", SMALL, ("Reb1", "Abf1"), 60, 20)
    save_model(tmp_path / "model.safetensors", model.module, model.spec)
    return str(tmp_path / "model.safetensors"), str(tmp_path / "data.h5")


def test_the_command_prints_means_and_writes_the_folder(files, tmp_path: Path, capsys):
    out = tmp_path / "out"
    arguments = ["evaluate", *files, "--out", str(out), "--bootstrap", "20", "--precision", "fp32"]
    assert run(arguments) == 0
    shown = capsys.readouterr().out
    summary = json.loads((out / "summary.json").read_text())
    assert f"AUPR   mean {summary['overall']['aupr_mean']:.4f} (" in shown
    assert f"written to {out}" in shown
    assert (summary["precision"], summary["bootstrap_replicates"]) == ("fp32", 20)
    assert run(arguments) == 2
    assert "exists already and is not empty" in capsys.readouterr().err
    assert run([*arguments, "--overwrite"]) == 0


def test_without_a_folder_the_command_only_prints(files, tmp_path: Path, capsys):
    before = sorted(tmp_path.iterdir())
    assert run(["evaluate", *files, "--split", "valid", "--bootstrap", "0"]) == 0
    assert "30 windows of the valid split" in capsys.readouterr().out
    assert sorted(tmp_path.iterdir()) == before


@needs_bf16
def test_the_precision_cost_is_printed(files, capsys):
    arguments = ["evaluate", *files, "--bootstrap", "0", "--precision", "bf16", "--compare-fp32"]
    assert run(arguments) == 0
    assert capsys.readouterr().out.count("bf16 against fp32: mean AU") == 2


def test_a_model_of_another_window_is_refused(files, tmp_path: Path, capsys):
    other = untrained("test", SMALL, ("Reb1", "Abf1"), 80, 20)
    save_model(tmp_path / "other.safetensors", other.module, other.spec)
    assert run(["evaluate", str(tmp_path / "other.safetensors"), files[1]]) == 2
    error = capsys.readouterr().err
    assert "the window of the dataset is 60 bp" in error
    assert f"{tmp_path / 'other.safetensors'} is 80 bp" in error
