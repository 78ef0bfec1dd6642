from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest

from danq_cli import main as frame


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, dict[str, Any]]]:
    """Calls that reach the library; nothing is trained."""
    calls: list[tuple[Any, dict[str, Any]]] = []

    def train(data: Any, **settings: Any) -> types.SimpleNamespace:
        calls.append((data, settings))
        return types.SimpleNamespace(
            folder=settings["out"], best_epoch=3, epochs=5, seconds=61.4, waited=0.0, rank=0
        )

    library = types.ModuleType("danq.training")
    library.train = train  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "danq.training", library)
    return calls


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    path = tmp_path / "small.h5"
    path.touch()
    return path


def test_plain_call_leaves_every_choice_to_recipe_and_configuration(trained, dataset, capsys):
    assert frame.run(["train", str(dataset), "--out", "runs/a"]) == 0
    data, settings = trained[0]
    assert data == dataset
    assert {name: value for name, value in settings.items() if value} == {"out": Path("runs/a")}
    assert capsys.readouterr().out == "runs/a: best of 5 epochs was 3; trained for 61 s\n"


def test_one_epoch_is_said_as_one(trained, dataset, capsys, monkeypatch):
    one = types.SimpleNamespace(folder="r", best_epoch=1, epochs=1, seconds=2.0, waited=0.0, rank=0)
    monkeypatch.setattr(sys.modules["danq.training"], "train", lambda data, **_: one)
    assert frame.run(["train", str(dataset), "--out", "r", "--epochs", "1"]) == 0
    assert capsys.readouterr().out == "r: best of 1 epoch was 1; trained for 2 s\n"


def test_epochs_may_be_left_to_the_size_of_the_data(trained, dataset):
    assert frame.run(["train", str(dataset), "--out", "r", "--epochs", "0"]) == 0
    assert trained[0][1]["recipe_changes"] == {"epochs": 0}


def test_choices_reach_the_library(trained, dataset):
    shape = "--model danq --temporal tcn --pooling attention"
    words = "--recipe paper --epochs 4 --batch-size 1k --lr 0.01 --seed-filters none"
    more = "--seed 7 --precision bf16 --device cpu --devices 2 --nodes 3 --threads 5 --resume"
    command = ["train", str(dataset), "--out", "r", *f"{shape} {words} {more}".split()]
    assert frame.run(command) == 0
    settings = trained[0][1]
    assert settings["recipe_changes"] == {
        "epochs": 4,
        "batch_size": 1000,
        "lr": 0.01,
        "seed_filters": "none",
    }
    assert settings["model_changes"] == {"temporal": "tcn", "pooling": "attention"}
    wanted = {
        "model": "danq",
        "recipe": "paper",
        "seed": 7,
        "precision": "bf16",
        "device": "cpu",
        "devices": 2,
        "nodes": 3,
        "threads": 5,
        "resume": True,
        "overwrite": False,
    }
    assert {name: settings[name] for name in wanted} == wanted


def test_peaks_bring_only_the_data_options_that_were_typed(trained, tmp_path):
    genome, peaks = tmp_path / "g.fa", tmp_path / "peaks"
    genome.touch()
    peaks.mkdir()
    command = ["train", "--genome", str(genome), "--tracks", str(peaks), "--out", "r"]
    assert frame.run([*command, "--bin", "100", "--valid", "chr2,chr3", "--negatives", "1.5"]) == 0
    data, settings = trained[0]
    assert data is None
    assert settings["genome"] == genome
    assert settings["tracks"] == (peaks,)
    assert settings["data_options"] == {
        "bin": 100,
        "valid": ("chr2", "chr3"),
        "negatives": 1.5,
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--window", "500"], "--window says how to build a data set, but DATA is one already"),
        (["--genome", "{dataset}"], "--genome says how to build a data set"),
        (["--resume", "--overwrite"], "--resume goes on with a run, --overwrite throws it away"),
        (["--epochs", "-1"], "-1 is not in the range x>=0"),
        (["--lr", "0"], "0.0 is not in the range x>0"),
    ],
)
def test_contradictions_are_refused(trained, dataset, capsys, words, message):
    words = [word.format(dataset=dataset) for word in words]
    assert frame.run(["train", str(dataset), "--out", "r", *words]) == 2
    assert message in capsys.readouterr().err
    assert trained == []
