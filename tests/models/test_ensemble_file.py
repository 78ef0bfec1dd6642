from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import danq
from danq.errors import InputError
from danq.models import architecture, save_model, untrained
from danq.models.ensemble_file import ensemble_members, write_ensemble
from danq_cli.main import run

MEMBERS = ["fold1/model.safetensors", "fold2/model.safetensors"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shape = architecture("danq", filters=6, width=5, pool=3, hidden=4, dense=(6,))
    for member in MEMBERS:
        model = untrained("danq", shape, ("Reb1", "Abf1"), window=40, bin=10)
        (tmp_path / member).parent.mkdir()
        save_model(tmp_path / member, model.module, model.spec)
    write_ensemble(tmp_path, MEMBERS)
    return tmp_path


def test_an_ensemble_is_the_mean_of_its_models(folder, tmp_path):
    models = danq.load_ensemble(folder, device="cpu")
    assert [model.path for model in models] == [folder / name for name in MEMBERS]
    sequence = "ACGTTGCA" * 5
    single = [danq.predict(model, sequence).values for model in models]
    assert not np.array_equal(*single)
    np.testing.assert_allclose(
        danq.predict(models, sequence).values[:, :2], np.mean(single, axis=0), atol=1e-7
    )
    (alone,) = danq.load_ensemble(folder / "fold1", device="cpu")
    assert alone.sha256 == models[0].sha256


def test_commands_take_the_folder_of_an_ensemble(folder, capsys):
    (folder / "in.fa").write_text(f">a\n{'ACGTTGCA' * 5}\n")
    out, other = folder / "out.tsv", folder / "other.tsv"
    common = ["--device", "cpu", "--threads", "1"]
    assert run(["predict", str(folder), str(folder / "in.fa"), "--out", str(out), *common]) == 0
    files = [str(folder / name) for name in MEMBERS]
    assert run(["predict", *files, str(folder / "in.fa"), "--out", str(other), *common]) == 0
    assert out.read_bytes() == other.read_bytes()
    assert run(["summary", str(folder)]) == 2
    assert "where one model is needed" in capsys.readouterr().err


def test_one_model_is_needed(folder):
    with pytest.raises(InputError, match=r"an ensemble of several models.*its folder fold1"):
        danq.load(folder)


def change(folder: Path, **fields: object) -> None:
    file = folder / "ensemble.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"magic": "other"}, "not the list of an ensemble"),
        ({"format_version": 2}, "format version 2, but this danq reads version 1"),
        ({"members": []}, "is damaged"),
        ({"members": None}, "is damaged"),
        ({"members": ["fold1"]}, "is damaged"),
        ({"members": [{"file": 3, "sha256": ""}]}, "is damaged"),
        ({"members": [{"file": "../model.safetensors", "sha256": ""}]}, "is damaged"),
        ({"members": [{"file": "/etc/passwd", "sha256": ""}]}, "is damaged"),
        ({"members": [{"file": "fold3/model.safetensors", "sha256": ""}]}, "is missing"),
        ({"members": [{"file": MEMBERS[0], "sha256": "0" * 64}]}, "not the model that"),
    ],
)
def test_a_list_that_is_not_right_is_refused(folder, fields, message):
    change(folder, **fields)
    with pytest.raises(InputError, match=message):
        ensemble_members(folder)


@pytest.mark.parametrize("text", ["", "[1", "[1]", "PK\x03\x04", "\x00" * 9])
def test_a_damaged_list_is_refused(folder, text):
    (folder / "ensemble.json").write_text(text)
    with pytest.raises(InputError):
        ensemble_members(folder)


def test_a_folder_of_one_model_is_that_model(folder):
    (folder / "model.safetensors").write_bytes((folder / MEMBERS[0]).read_bytes())
    assert ensemble_members(folder) == [folder]
    assert ensemble_members(folder / "fold1") == [folder / "fold1"]


def test_an_unfinished_training_in_folds_is_named(folder):
    (folder / "ensemble.json").rename(folder / "folds.json")
    with pytest.raises(InputError, match="not finished, so the ensemble is not complete"):
        danq.load_ensemble(folder)
