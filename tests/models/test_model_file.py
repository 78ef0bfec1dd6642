from __future__ import annotations

import json

import pytest
import safetensors.torch
import torch

from danq.errors import InputError
from danq.models import Model, architecture, load_model, read_spec, save_model, summary, untrained
from danq.models.stored_model import FORMAT_VERSION


@pytest.fixture
def model() -> Model:
    torch.manual_seed(0)
    numbers = architecture("danq-small", filters=8, hidden=4, dense=(6,))
    return untrained("danq-small", numbers, ("Reb1", "Abf1"), window=200, bin=100)


def test_round_trip(model, tmp_path):
    path = tmp_path / "model.safetensors"
    save_model(path, model.module, model.spec)
    loaded = load_model(path)
    codes = torch.randint(0, 5, (3, 200), dtype=torch.uint8)
    assert torch.equal(loaded.module(codes), model.module(codes))
    assert loaded.spec == model.spec
    assert loaded.tracks == ("Reb1", "Abf1")
    assert loaded.window == 200
    assert len(loaded.sha256) == 64
    assert load_model(tmp_path).sha256 == loaded.sha256
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]


def test_summary_names_tracks_and_layers(model):
    text = summary(model)
    assert "Reb1, Abf1" in text
    assert "OneHotConv" in text
    assert "200 bp" in text


def test_the_temperature_divides_the_logits_of_every_use(model, tmp_path):
    spec = model.spec.model_copy(update={"temperature": 1.6})
    save_model(tmp_path / "scaled.safetensors", model.module, spec)
    scaled = load_model(tmp_path / "scaled.safetensors")
    codes = torch.randint(0, 5, (50, 200), dtype=torch.uint8)
    torch.testing.assert_close(scaled.module(codes), model.module(codes) / 1.6)
    order = model.module(codes).argsort(dim=0)
    assert torch.equal(scaled.module(codes).argsort(dim=0), order)
    stored = safetensors.torch.load_file(tmp_path / "scaled.safetensors")
    assert torch.equal(stored["head.output.weight"], model.module.head.output.weight)
    text = summary(tmp_path / "scaled.safetensors")
    assert "temperature             1.6, divides the logits" in text
    assert "temperature             none" in summary(model)


@pytest.mark.parametrize("value", [0, -1, "nan", float("inf"), "hot", [1.0]])
def test_a_temperature_that_is_no_positive_number_is_refused(model, tmp_path, value):
    spec = model.spec.model_copy(update={"temperature": 1.25})
    path = tmp_path / "model.safetensors"
    text = json.loads(spec.model_dump_json()) | {"temperature": value}

    class Header:
        def model_dump_json(self) -> str:
            return json.dumps(text)

    save_model(path, model.module, Header())
    with pytest.raises(InputError, match="temperature"):
        load_model(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such model file"):
        load_model(tmp_path / "none")
    with pytest.raises(InputError, match=r"no model\.safetensors in this folder"):
        load_model(tmp_path)


def test_a_truncated_file_is_refused(model, tmp_path):
    path = tmp_path / "model.safetensors"
    save_model(path, model.module, model.spec)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="truncated"):
        load_model(path)


def test_other_files_are_refused(model, tmp_path):
    path = tmp_path / "other.safetensors"
    path.write_text("not a model")
    with pytest.raises(
        InputError, match="not a model file of danq .*Give a run directory or model file"
    ):
        read_spec(path)
    safetensors.torch.save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(InputError, match="without the header of danq"):
        read_spec(path)


@pytest.mark.parametrize("version", [1, 99])
def test_files_of_another_format_version_are_refused(version, model, tmp_path):
    path = tmp_path / "model.safetensors"
    header = json.loads(model.spec.model_dump_json()) | {"format_version": version}
    if version == 1:
        header["data_sha256"] = header.pop("data_sha256")
    safetensors.torch.save_file(model.module.state_dict(), path, {"danq": json.dumps(header)})
    with pytest.raises(InputError, match=f"version {version}, but this danq reads version 5"):
        load_model(path)
    assert FORMAT_VERSION == 5


def test_weights_of_another_shape_are_refused(model, tmp_path):
    path = tmp_path / "model.safetensors"
    other = model.spec.model_copy(update={"window": 400})
    save_model(path, model.module, other)
    with pytest.raises(InputError, match="do not fit"):
        load_model(path)


def test_a_missing_folder_is_refused(model, tmp_path):
    with pytest.raises(InputError, match="there is no folder"):
        save_model(tmp_path / "none" / "model.safetensors", model.module, model.spec)


def test_file_permissions_follow_the_umask(model, tmp_path):
    save_model(tmp_path / "model.safetensors", model.module, model.spec)
    (tmp_path / "plain").write_text("")
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1
