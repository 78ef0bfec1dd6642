from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import danq.training
from danq.training.session import TrainingResult
from danq_cli import main as cli


def result(directory: Path, **values: Any) -> TrainingResult:
    return TrainingResult(directory=directory, wait_fraction=0.0, history=[], rank=0, **values)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, dict[str, Any]]]:
    """Arguments of the calls of `train`, which trains nothing here."""
    calls: list[tuple[Any, dict[str, Any]]] = []

    def train(data: Any, **settings: Any) -> TrainingResult:
        calls.append((data, settings))
        return result(settings["out"], best_epoch=3, epochs=5, seconds=61.4)

    monkeypatch.setattr(danq.training, "train", train)
    return calls


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    path = tmp_path / "small.h5"
    path.touch()
    return path


def test_call_without_options_leaves_every_setting_to_recipe_and_configuration(
    trained, dataset, capsys
):
    assert cli.run(["train", str(dataset), "--out", "runs/a"]) == 0
    data, settings = trained[0]
    assert data == dataset
    assert settings.pop("model").table == {}
    assert settings.pop("recipe").given() == {}
    assert settings.pop("run").given() == {}
    assert {name: value for name, value in settings.items() if value} == {"out": Path("runs/a")}
    assert capsys.readouterr().out == "runs/a: best of 5 epochs was 3; trained for 61 s\n"


def test_one_epoch_is_singular(trained, dataset, capsys, monkeypatch):
    one = result(Path("r"), best_epoch=1, epochs=1, seconds=2.0)
    monkeypatch.setattr(danq.training, "train", lambda data, **_: one)
    assert cli.run(["train", str(dataset), "--out", "r", "--epochs", "1"]) == 0
    assert capsys.readouterr().out == "r: best of 1 epoch was 1; trained for 2 s\n"


def test_zero_epochs_reach_the_recipe(trained, dataset):
    assert cli.run(["train", str(dataset), "--out", "r", "--epochs", "0"]) == 0
    assert trained[0][1]["recipe"].given() == {"epochs": 0}


def test_options_reach_the_library(trained, dataset):
    model_options = "--model danq --temporal tcn --pooling attention"
    training_options = "--recipe paper --epochs 4 --batch-size 1k --lr 0.01 --initial-motifs none"
    run_options = (
        "--seed 7 --precision bf16 --device cpu --devices 2 --nodes 3 --threads 5 --resume"
    )
    options = f"{model_options} {training_options} {run_options}".split()
    command = ["train", str(dataset), "--out", "r", *options]
    assert cli.run(command) == 0
    settings = trained[0][1]
    assert settings["recipe"].given() == {
        "base": "paper",
        "epochs": 4,
        "batch_size": 1000,
        "lr": 0.01,
        "initial_motifs": "none",
    }
    assert settings["model"].table == {
        "preset": "danq",
        "temporal": "tcn",
        "pooling": "attention",
    }
    assert settings["run"].given() == {
        "seed": 7,
        "precision": "bf16",
        "device": "cpu",
        "devices": 2,
        "nodes": 3,
        "threads": 5,
    }
    assert settings["resume"]
    assert not settings["overwrite"]


def test_a_model_to_start_from_reaches_the_library(trained, dataset, tmp_path):
    model = tmp_path / "model.safetensors"
    model.touch()
    command = ["train", str(dataset), "--out", "r", "--from", str(model), "--freeze", "encoder"]
    assert cli.run(command) == 0
    settings = trained[0][1]
    assert settings["model"].table == {"pretrained": str(model)}
    assert settings["recipe"].given() == {"freeze": "encoder"}


def test_only_given_data_options_are_passed(trained, tmp_path):
    genome, peaks = tmp_path / "g.fa", tmp_path / "peaks"
    genome.touch()
    peaks.mkdir()
    command = ["train", "--genome", str(genome), "--tracks", str(peaks), "--out", "r"]
    assert cli.run([*command, "--bin", "100", "--valid", "chr2,chr3", "--negatives", "1.5"]) == 0
    assert trained[0][0].table == {
        "genome": genome,
        "tracks": (peaks,),
        "bin": 100,
        "valid": "chr2,chr3",
        "negatives": 1.5,
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--window", "500"], "--window is an option for building a dataset, and DATA is given"),
        (["--genome", "{dataset}"], "--genome is an option for building a dataset"),
        (["--resume", "--overwrite"], "--resume and --overwrite exclude each other"),
        (["--epochs", "-1"], "-1 is not in the range x>=0"),
        (["--bin", "100"], "--bin is an option for building a dataset"),
        (["--lr", "0"], "0.0 is not in the range x>0"),
    ],
)
def test_contradictory_options_are_refused(trained, dataset, capsys, options, message):
    options = [option.format(dataset=dataset) for option in options]
    assert cli.run(["train", str(dataset), "--out", "r", *options]) == 2
    assert message in capsys.readouterr().err
    assert trained == []
