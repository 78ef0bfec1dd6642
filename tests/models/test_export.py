from __future__ import annotations

import json
import logging
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from danq.errors import InputError
from danq.models import Model, architecture, export, save_model, untrained

SMALL = {"filters": 8, "width": 9, "pool": 12, "hidden": 5, "dense": (7,)}
KINDS = {
    "danq": {},
    "hard": {"gates": "hard", "second_direction": "forward", "unknown": 0.25},
    "hard-back": {"gates": "hard"},
    "hard-one": {"gates": "hard", "bidirectional": False},
    "gru": {"temporal": "gru", "layers": 2, "pooling": "attention"},
    "dream": {
        "further_widths": (5,),
        "step_stages": ({"channels": 6, "widths": (3, 4), "dropout": 0.2},),
        "pooling": "mean",
        "unknown": 0.25,
    },
}
FILES = {"onnx": "m.onnx", "torchscript": "m.pt", "torch-export": "m.pt2"}


def model_of(kind: str) -> Model:
    torch.manual_seed(5)
    model = untrained("danq", architecture("danq", **SMALL, **KINDS[kind]), ("a", "b"), 60, 20)
    with torch.no_grad():
        for value in model.module.parameters():
            value.add_(torch.randn_like(value) * 0.3)
    return model


def run(path: Path, form: str, codes: np.ndarray) -> tuple[np.ndarray, str]:
    """Outputs of an exported file, and what it says of itself, by its runtime alone."""
    if form == "onnx":
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        about = session.get_modelmeta().custom_metadata_map["danq"]
        return np.asarray(session.run(None, {"codes": codes})[0]), about
    extra = {"danq.json": ""}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        if form == "torchscript":
            loaded = torch.jit.load(path, _extra_files=extra)
        else:
            loaded = torch.export.load(path, extra_files=extra).module()
        about = extra["danq.json"]
        text = about.decode() if isinstance(about, bytes) else about
        return loaded(torch.from_numpy(codes)).numpy(), text


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        (kind, form)
        for kind in KINDS
        for form in FILES
        if form == "onnx" or kind in ("danq", "hard", "dream")
    ],
)
def test_the_exported_file_is_the_model(kind, form, tmp_path, caplog):
    caplog.set_level(logging.INFO, "danq")
    model = model_of(kind)
    path = tmp_path / FILES[form]
    done = export.export_model(model, path, to=form)
    assert done.path == path
    assert done.difference <= 1e-5
    assert "compared 1,000 sequences, some with N" in caplog.text
    for rows in (1, 3, 1000):
        codes = np.random.default_rng(rows).integers(0, 5, (rows, 60)).astype(np.uint8)
        found, about = run(path, form, codes)
        with torch.no_grad():
            right = model.module(torch.from_numpy(codes)).sigmoid().numpy()
        np.testing.assert_allclose(found, right, atol=1e-5, rtol=0)
        assert found.dtype == np.float32
    said = json.loads(about)
    assert said["format_version"] == 2
    assert said["model"]["tracks"] == ["a", "b"]
    assert said["model"]["window"] == 60
    assert said["input"].startswith("codes, uint8 (B, 60)")


@pytest.mark.parametrize(("kind", "operators"), [("danq", 1), ("hard", 2)])
def test_onnx_keeps_the_lstm_an_operator(kind, operators, tmp_path):
    path = tmp_path / "m.onnx"
    export.export_model(model_of(kind), path, to="onnx")
    graph = onnx.load(str(path)).graph
    assert [node.op_type for node in graph.node].count("LSTM") == operators
    assert graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_a_model_file_can_be_exported(tmp_path):
    model = model_of("danq")
    save_model(tmp_path / "model.safetensors", model.module, model.spec)
    done = export.export_model(tmp_path, tmp_path / "m.onnx", to="onnx")
    said = onnx.load(str(done.path)).metadata_props[0].value
    assert len(json.loads(said)["sha256"]) == 64


@pytest.mark.parametrize("form", FILES)
def test_a_file_that_differs_is_refused(form, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    with pytest.raises(InputError, match="probabilities differ from the model's by"):
        export.export_model(model_of("danq"), tmp_path / "m", to=form)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_gives_nan_is_refused(tmp_path, monkeypatch):
    model = model_of("danq")

    def broken(path: Path):
        return lambda codes: np.full((len(codes), 2), np.nan, np.float32)

    write, _ = export._EXPORTERS["onnx"]
    monkeypatch.setitem(export._EXPORTERS, "onnx", (write, broken))
    with pytest.raises(InputError, match="differ from the model's by nan"):
        export.export_model(model, tmp_path / "m.onnx", to="onnx")


def test_invalid_arguments_are_refused_before_any_work(tmp_path, monkeypatch):
    model = model_of("danq")
    with pytest.raises(InputError, match="no export format is named 'tflite'"):
        export.export_model(model, tmp_path / "m", to="tflite")
    (tmp_path / "m.onnx").write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        export.export_model(model, tmp_path / "m.onnx", to="onnx")
    with pytest.raises(InputError, match="no such model file"):
        export.export_model(tmp_path / "none", tmp_path / "m.pt", to="torchscript")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r"library that is not installed.*danq\[export\]"):
        export.export_model(model, tmp_path / "n.onnx", to="onnx")
    assert not (tmp_path / "n.onnx").exists()
