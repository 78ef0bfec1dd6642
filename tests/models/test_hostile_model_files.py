"""Model files that were damaged, or made to do harm although their checksum is right."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from danq.errors import InputError
from danq.models import architecture, load_model, read_spec, save_model, untrained
from danq.models.architecture import MAX_PARAMETERS, build_module
from danq.models.stored_model import FORMAT_VERSION
from danq.training import read_config
from danq.vision import load_vision_model
from danq_cli.main import run
from tests.reseal import change_fields, reseal, split

SMALL = {"filters": 4, "width": 3, "pool": 20, "hidden": 2, "dense": (3,)}


@pytest.fixture
def path(tmp_path) -> Path:
    torch.manual_seed(0)
    model = untrained("danq-small", architecture("danq-small", **SMALL), ("one", "two"), 60, 20)
    save_model(tmp_path / "model.safetensors", model.module, model.spec)
    return tmp_path / "model.safetensors"


def test_a_flipped_bit_in_any_byte_is_detected(path):
    rng = np.random.default_rng(1)
    content = path.read_bytes()
    for index in range(len(content)):
        changed = bytearray(content)
        changed[index] ^= 1 << int(rng.integers(8))
        path.write_bytes(changed)
        with pytest.raises(InputError):
            load_model(path)
    path.write_bytes(content)
    load_model(path)


def fields(**changes):
    return lambda path: change_fields(path, "danq", **changes)


def shape(**changes):
    def change(path: Path) -> None:
        header, _ = split(path)
        known = json.loads(header["__metadata__"]["danq"])["architecture"]
        change_fields(path, "danq", architecture=known | changes)

    return change


def header_text(make):
    """Replace the text of the header by one that a function makes of it."""

    def change(path: Path) -> None:
        def texts(header, _):
            header["__metadata__"]["danq"] = make(header["__metadata__"]["danq"])

        reseal(path, texts)

    return change


def tensors(make):
    """Change the entries of tensors, or the data."""
    return lambda path: reseal(path, make)


def weights(kind: str, value: float):
    """Another type for all values, the first of which is replaced."""

    def change(header, data):
        values = np.frombuffer(data, np.float32).astype(kind)
        values[0] = value
        size, at = values.itemsize, 0
        for name, entry in header.items():
            if name != "__metadata__":
                end = at + int(np.prod(entry["shape"])) * size
                code = {2: "F16", 4: "F32", 8: "F64"}[size]
                entry.update(dtype=code, data_offsets=[at, end])
                at = end
        return values.tobytes()

    return tensors(change)


def rename(header, _):
    entries = {name: header.pop(name) for name in list(header)}
    for name, value in entries.items():
        header[name.replace("head.output.bias", "head.output.offset")] = value


def bfloat16(header, data):
    for name, entry in header.items():
        if name != "__metadata__":
            entry["dtype"] = "BF16"
            entry["data_offsets"] = [at // 2 for at in entry["data_offsets"]]
    return data[: len(data) // 2]


def other_shape(header, _):
    name = next(name for name, entry in header.items() if len(entry.get("shape", [])) == 2)
    header[name]["shape"].reverse()


DEEP = "[" * 10**5 + "]" * 10**5
HOSTILE = {
    "NaN weight": (weights("float32", np.nan), r"'[\w.]+' contains NaN or an infinite number"),
    "infinite weight": (weights("float32", np.inf), "contains NaN or an infinite number"),
    "half precision": (weights("float16", 0), r"'[\w.]+' is float16, not float32"),
    "double precision": (weights("float64", 0), r"'[\w.]+' is float64, not float32"),
    "bfloat16": (tensors(bfloat16), "is not a model file of danq: its header does not have"),
    "renamed tensor": (tensors(rename), r"'head.output.bias' is missing"),
    "other shape": (tensors(other_shape), r"has the shape \(\d+, \d+\), not"),
    "no fields": (header_text(lambda _: "[]"), "it is not a JSON object"),
    "no JSON": (header_text(lambda text: text[:-1]), "damaged model header: Expecting"),
    "deep JSON": (
        header_text(lambda text: text[:-1] + f', "x": {DEEP}}}'),
        "it has too many nested values",
    ),
    "deep training": (
        header_text(lambda text: text.replace('"training":{}', f'"training":{{"x": {DEEP}}}')),
        "it has too many nested values",
    ),
    "NaN in JSON": (header_text(lambda text: text[:-1] + ',"x":NaN}'), "it contains NaN"),
    "huge number": (header_text(lambda text: text[:-1] + f',"x":{"9" * 5000}}}'), "digits"),
    "long window": (fields(window=10**12), "window: .* less than or equal to 10000000"),
    "endless window": (fields(window=10**400), "window: .* less than or equal to 10000000"),
    "window as text": (fields(window="many"), "window: "),
    "wide bin": (fields(bin=61), "a bin of 61 bp in a window of 60 bp"),
    "no tracks": (fields(tracks=[], groups=[]), "tracks: "),
    "other number of tracks": (fields(tracks=["a"], groups=[""]), "'head.output.weight' has the"),
    "groups missing": (fields(groups=[""]), "1 groups for 2 tracks"),
    "a track twice": (fields(tracks=["a", "a"]), "two tracks have the same name"),
    "line feed in a track": (fields(tracks=["a\nb", "c"]), "track .* cannot be printed"),
    "HTML in a group": (fields(groups=["../x", ""]), "the name '../x' of a group is a path"),
    "surrogate": (fields(tracks=["\ud800", "c"]), "characters that are not Unicode"),
    "surrogate in training": (fields(training={"x": "\udcff"}), "characters that are not Unicode"),
    "unknown field": (fields(code="x"), "code: there is no setting of this name"),
    "other version": (
        fields(format_version=FORMAT_VERSION + 1),
        f"model format version {FORMAT_VERSION + 1}, but this danq reads",
    ),
    "many layers": (shape(layers=10**7), "architecture.layers: .* less than or equal to 100"),
    "many units": (shape(hidden=10**9), "architecture.hidden: .*equal to 65536"),
    "many filters": (shape(filters=10**9), "architecture.filters: .*equal to 65536"),
    "wide filters": (shape(width=10**9), "architecture.width: .*equal to 10000"),
    "many stages": (
        shape(stages=[{"channels": 1, "width": 1}] * 101),
        "architecture.stages: .* at most 100",
    ),
    "many dense layers": (shape(dense=[3] * 10**5), "architecture.dense: .* at most 100"),
    "wide dense layer": (shape(dense=[10**9]), "architecture.dense.0: .*equal to 1000000"),
    "many blocks": (shape(temporal="tcn", tcn_blocks=10**7), "tcn_blocks: .*equal to 100"),
    "NaN dropout": (shape(unknown="nan"), "architecture.unknown: "),
    "most of all": (
        shape(filters=65536, hidden=65536, layers=100, dense=[10**6] * 100),
        "the architecture has more weights than the file",
    ),
    "somewhat more": (shape(layers=60), "the architecture has more weights than the file"),
    "vision": (fields(task="direction"), "a model of the vision task 'direction'"),
}


@pytest.mark.parametrize(("change", "message"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_are_refused_at_once(change, message, path, capsys):
    change(path)
    started = time.monotonic()
    with pytest.raises(InputError, match=message) as caught:
        load_model(path)
    assert time.monotonic() - started < 5
    assert caught.value.file == str(path)
    assert run(["predict", str(path), str(path), "--out", "out.tsv"]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_spec_alone_is_read_from_verified_bytes(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="checksum does not match"):
        read_spec(path)


VISION = {
    "task": "direction",
    "model": "convlstm",
    "hyperparameters": {},
    "metadata": {},
    "inputs": {},
}


def vision_header(**changes):
    def make(text: str) -> str:
        return json.dumps({"format_version": FORMAT_VERSION} | VISION | changes)

    return header_text(make)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"hyperparameters": {"layers": 10**9}},
            "has the number 1,000,000,000; at most 16,777,216",
        ),
        ({"inputs": {"x": ["float32", [10**12]]}}, "has the number 1,000,000,000,000"),
        ({"metadata": {"classes": ["a\nb"]}}, r"has the text 'a\\nb', which cannot be printed"),
        ({"metadata": {"a\u202eb": 1}}, r"has the text 'a\\u202eb', which cannot be printed"),
        ({"task": "unknown"}, "the task 'unknown', which is not registered"),
        ({"model": "unknown"}, "its model cannot be built: "),
        ({"hyperparameters": {"nothing": 1}}, "its model cannot be built: "),
        ({"metadata": {"classes": None}}, "its model cannot be built: "),
        ({"hyperparameters": []}, "hyperparameters: "),
    ],
)
def test_hostile_files_of_vision_models_are_refused(changes, message, path):
    vision_header(**changes)(path)
    with pytest.raises(InputError, match=message):
        load_vision_model(path)


def test_limits_hold_for_presets_and_configurations_too(tmp_path):
    with pytest.raises(InputError, match="layers: .* less than or equal to 100"):
        architecture("danq", layers=10**7)
    with pytest.raises(
        InputError, match="window is 1,000,000,000,000; at least 1 and at most 10,0"
    ):
        build_module(architecture("danq"), 2, 10**12)
    with pytest.raises(
        InputError, match="tracks is 10,000,000,000; at least 1 and at most 1,000,0"
    ):
        build_module(architecture("danq"), 10**10, 1000)
    with pytest.raises(InputError, match=f"parameters; at most {MAX_PARAMETERS:,} are allowed"):
        build_module(architecture("danq", dense=(10**6,)), 2, 100_000)
    (tmp_path / "run.toml").write_text("[model]\nlayers = 10000000\n")
    with pytest.raises(InputError, match="layers: .* less than or equal to 100"):
        read_config(tmp_path / "run.toml").model.architecture  # noqa: B018
