"""Exported vision models equal the model, with masks and for any number of examples."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from danq.errors import InputError
from danq.vision.export import export_model
from danq.vision.task_registry import OWN_TASKS, load_task
from danq.vision.vision_model_file import VisionModel, VisionSpec
from danq.vision.vocabulary import END, START
from tests.vision.small_own_data import small_data
from tests.vision.small_torchvision import use_small_torchvision


@pytest.fixture(autouse=True)
def small_torchvision(monkeypatch):
    use_small_torchvision(monkeypatch)


def untrained(name, model=None, seed=1):
    task = load_task(name)
    data = small_data(name)
    metadata = {**data.metadata, **task.facts(data)}
    definition = task.model(model)
    torch.manual_seed(seed)
    module = definition.build(metadata, **definition.hyperparameters).eval()
    spec = VisionSpec(
        task=name,
        model=definition.name,
        hyperparameters=dict(definition.hyperparameters),
        metadata=metadata,
        inputs={field: data.train.types[field] for field in data.train.names},
    )
    return task, data, VisionModel(module, spec, Path("model.safetensors"))


def session_of(path):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("name", OWN_TASKS)
def test_onnx_of_every_model_runs_with_onnxruntime(name, tmp_path):
    for definition in load_task(name).models:
        task, data, model = untrained(name, definition.name)
        path = tmp_path / f"{definition.name}.onnx"
        assert export_model(model, path, to="onnx").difference < 1e-5
        session = session_of(path)
        assert [one.name for one in session.get_inputs()] == list(task.exported_inputs)
        assert [one.name for one in session.get_outputs()] == [task.exported_output]
        fields = {field: data.test[field] for field in task.exported_inputs}
        found = np.asarray(session.run(None, fields)[0])
        with torch.inference_mode():
            batch = next(data.test.batches(len(data.test), torch.device("cpu")))
            expected = task.exported(model.module, batch).numpy()
        np.testing.assert_allclose(found, expected, atol=1e-5, rtol=1e-5)
        assert len(found) == len(data.test)
        if task.exported_output == "probabilities" and name != "image-labels":
            np.testing.assert_allclose(found.sum(axis=-1), 1, atol=1e-5)
        about = json.loads(onnx.load(path).metadata_props[0].value)
        assert about["model"]["metadata"] == json.loads(json.dumps(model.spec.metadata))
        assert about["prepared"].keys() == {"series", "sound"} & set(task.exported_inputs)


@pytest.mark.parametrize("to", ["torchscript", "torch-export"])
@pytest.mark.parametrize("name", ["image-values", "video-frames", "text-classes"])
def test_other_formats(name, to, tmp_path):
    _, _, model = untrained(name)
    done = export_model(model, tmp_path / "model", to=to)
    assert done.path.stat().st_size > 1000
    assert done.difference < 1e-5


def test_words_of_a_caption_are_those_of_a_greedy_search(tmp_path):
    from danq.core import greedy

    _, data, model = untrained("image-captions", seed=3)
    captions = model.module
    with torch.no_grad():
        captions.decoder.output.weight *= 30  # type: ignore[union-attr,operator]
    export_model(model, tmp_path / "captions.onnx", to="onnx")
    images = data.train["image"]
    session = session_of(tmp_path / "captions.onnx")
    words = np.asarray(session.run(None, {"image": images})[0])
    with torch.inference_mode():
        memory, mask = captions.tokens(torch.from_numpy(images).float() / 255)  # type: ignore[operator]
        state = captions.decoder.begin(memory, mask)  # type: ignore[union-attr,operator]
        step = captions.decoder.step  # type: ignore[union-attr]
        found = greedy(step, state, start=START, end=END, limit=captions.length - 1)  # type: ignore[arg-type,operator]
    expected = [[*one.symbols] + [0] * (words.shape[1] - len(one.symbols)) for one in found]
    assert words.tolist() == expected
    assert len({tuple(row) for row in expected}) > 1


def test_invalid_exports_are_refused(tmp_path):
    _, _, model = untrained("image-classes")
    with pytest.raises(InputError, match="no export format is named 'x'"):
        export_model(model, tmp_path / "x", to="x")
    (tmp_path / "old.onnx").write_text("mine")
    with pytest.raises(InputError, match="exists"):
        export_model(model, tmp_path / "old.onnx", to="onnx")
    assert (tmp_path / "old.onnx").read_text() == "mine"
    nameless = model.spec.model_copy(update={"inputs": {}})
    with pytest.raises(InputError, match="no type of the input 'image'"):
        export_model(VisionModel(model.module, nameless, model.path), tmp_path / "y", to="onnx")
    assert not (tmp_path / "y").exists()
