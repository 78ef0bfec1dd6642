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

from danq.amounts import AmountUnit
from danq.errors import InputError
from danq.models import (
    Model,
    TargetGroup,
    architecture,
    export,
    export_formats,
    save_model,
    untrained,
)

SMALL = {"filters": 8, "width": 9, "pool": 12, "hidden": 5, "dense": (7,)}
KINDS = {
    "danq": {},
    "hard": {"gates": "hard", "second_direction": "forward", "unknown": 0.25},
    "hard-back": {"gates": "hard"},
    "hard-one": {"gates": "hard", "bidirectional": False},
    "hard-stack": {"gates": "hard", "step_stages": ({"channels": 4, "widths": (3,)},)},
    "gru": {"temporal": "gru", "layers": 2, "pooling": "attention"},
    "members": {"members": 2, "dense": (), "pooling": "mean-max", "masks_padding": True},
    "dream": {
        "further_widths": (5,),
        "step_stages": ({"channels": 6, "widths": (3, 4), "dropout": 0.2},),
        "pooling": "mean",
        "unknown": 0.25,
    },
}
FILES = {"onnx": "m.onnx", "torchscript": "m.pt", "torch-export": "m.pt2"}


def model_of(kind: str, targets: tuple[TargetGroup, ...] = ()) -> Model:
    torch.manual_seed(5)
    amounts = sum(group.tracks for group in targets if group.loss != "binary")
    names = tuple("abcdefgh"[: sum(group.tracks for group in targets) or 2])
    units = (AmountUnit(unit="reads", transform="log1p"),) * amounts
    small = architecture("danq", **(SMALL | KINDS[kind]))
    model = untrained("danq", small, names, 60, 20, targets, units)
    with torch.no_grad():
        for value in model.module.parameters():
            value.add_(torch.randn_like(value) * 0.3)
    return model


def run(path: Path, form: str, codes: np.ndarray) -> tuple[np.ndarray, str]:
    """First output of an exported file, and what it says of itself, by its runtime alone."""
    (found, *_), about = run_all(path, form, codes)
    return found, about


def run_all(path: Path, form: str, codes: np.ndarray) -> tuple[list[np.ndarray], str]:
    """All outputs."""
    if form == "onnx":
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        about = session.get_modelmeta().custom_metadata_map["danq"]
        return [np.asarray(one) for one in session.run(None, {"codes": codes})], about
    extra = {"danq.json": ""}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        if form == "torchscript":
            loaded = torch.jit.load(path, _extra_files=extra)
        else:
            loaded = torch.export.load(path, extra_files=extra).module()
        about = extra["danq.json"]
        text = about.decode() if isinstance(about, bytes) else about
        found = loaded(torch.from_numpy(codes))
        return [one.numpy() for one in (found if isinstance(found, tuple) else (found,))], text


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        (kind, form)
        for kind in KINDS
        for form in FILES
        if form == "onnx" or kind in ("danq", "hard", "dream", "members")
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
    assert said["format_version"] == 3
    assert said["model"]["tracks"] == ["a", "b"]
    assert said["model"]["window"] == 60
    assert said["input"].startswith("codes, uint8 (B, 60)")


BINARY = TargetGroup(loss="binary", tracks=2)
GAUSSIAN = TargetGroup(loss="gaussian", tracks=2)
POISSON = TargetGroup(loss="poisson", tracks=2)
SOFT = TargetGroup(loss="soft-bins", tracks=2, bins=7, lowest=-1.0, bin_width=0.5)
PROFILE = TargetGroup(loss="profile", tracks=2, steps=5, step_bases=4)
COARSE = TargetGroup(loss="profile", tracks=1, steps=2, step_bases=10)
HEADS = {
    "gaussian": (GAUSSIAN,),
    "poisson": (POISSON,),
    "soft-bins": (SOFT,),
    "profile": (PROFILE,),
    "mixed": (BINARY, GAUSSIAN, PROFILE),
    "two-profiles": (POISSON, PROFILE, COARSE),
}


@pytest.mark.parametrize(
    ("head", "kind", "form"),
    [
        (head, kind, form)
        for head in HEADS
        for kind in KINDS
        for form in FILES
        if (form == "onnx" and kind in ("danq", "gru", "dream", "hard-stack"))
        or (kind == "dream" and head in ("soft-bins", "mixed"))
    ],
)
def test_every_head_is_exported_with_one_value_per_track(head, kind, form, tmp_path):
    groups = HEADS[head]
    model = model_of(kind, groups)
    path = tmp_path / FILES[form]
    done = export.export_model(model, path, to=form)
    assert done.difference <= 1e-5
    codes = np.random.default_rng(2).integers(0, 5, (9, 60)).astype(np.uint8)
    (found, *steps), about = run_all(path, form, codes)
    with torch.no_grad():
        outputs = model.module(torch.from_numpy(codes)).numpy().astype(np.float64)
    np.testing.assert_allclose(found, values_by_hand(outputs, groups), rtol=2e-5, atol=2e-5)
    said = json.loads(about)["outputs"]
    profiled = [group for group in groups if group.loss == "profile"]
    assert list(said) == ["values", *("profiles", "profiles_2")[: len(profiled)]]
    assert "log1p(reads)" in said["values"]
    assert [one.shape for one in steps] == [(9, one.tracks, one.steps) for one in profiled]
    sums = np.concatenate([one.sum(axis=2) for one in steps], axis=1) if steps else None
    if sums is not None:
        total = found[:, -sums.shape[1] :]
        np.testing.assert_allclose(sums, np.maximum(total, 0), rtol=1e-4, atol=1e-5)


def values_by_hand(outputs: np.ndarray, groups: tuple[TargetGroup, ...]) -> np.ndarray:
    """One value per track, in float64."""
    found, at = [], 0
    for group in groups:
        own = outputs[:, at : at + group.outputs]
        at += group.outputs
        if group.loss == "binary":
            found.append(1 / (1 + np.exp(-own)))
        elif group.loss == "gaussian":
            found.append(own)
        elif group.loss == "poisson":
            found.append(np.exp(own))
        elif group.loss == "soft-bins":
            share = np.exp(own.reshape(len(own), group.tracks, group.bins))
            centres = -1.0 + 0.5 * np.arange(group.bins)
            found.append((share * centres).sum(axis=2) / share.sum(axis=2))
        else:
            found.append(np.expm1(own[:, -group.tracks :]))
    return np.concatenate(found, axis=1)


@pytest.mark.parametrize(("kind", "operators"), [("danq", 1), ("hard", 2), ("hard-stack", 2)])
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
    monkeypatch.setattr(export_formats, "TOLERANCE", -1.0)
    with pytest.raises(
        InputError, match="the probabilities of the exported file differ from those of the model by"
    ):
        export.export_model(model_of("danq"), tmp_path / "m", to=form)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_gives_nan_is_refused(tmp_path, monkeypatch):
    model = model_of("danq")

    def broken(data: bytes):
        return lambda codes: [np.full((len(codes), 2), np.nan, np.float32)]

    onnx_format = export_formats.FORMATS["onnx"]._replace(start=broken)
    monkeypatch.setitem(export_formats.FORMATS, "onnx", onnx_format)
    with pytest.raises(InputError, match="differ from those of the model by nan"):
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
