from __future__ import annotations

import pytest

from danq.vision import Recipe, RunSettings, Sizes, load_vision_model, summary, train
from danq.vision.task_registry import load_task
from danq.vision.vision_model_file import VisionModel, VisionSpec, build
from danq_cli.main import run


@pytest.mark.parametrize(
    ("task", "shape"),
    [
        ("direction", "[2, 8, 64]"),
        ("slots", "[2, "),
        ("nowcasting", "[2, 10, 1, 32, 32]"),
        ("audio-visual", "[2, 128]"),
    ],
)
def test_a_summary_has_task_blocks_shapes_and_parameters(task, shape, tmp_path, capsys):
    few = load_task(task).make(0, Sizes(8, 8, 8))
    quiet = RunSettings(device="cpu", threads=1, quiet=True)
    result = train(task, out=tmp_path / "run", data=few, recipe=Recipe(epochs=1), run=quiet)
    assert run(["summary", str(tmp_path / "run")]) == 0
    text = capsys.readouterr().out
    model = load_vision_model(tmp_path / "run")
    assert text.rstrip("\n") == summary(model)
    assert f"task                    {task}: " in text
    assert shape in text
    for name, array in few.train.arrays.items():
        assert f"field {name:<17} {array.dtype} {list(array.shape[1:])}" in text
    assert text.rstrip().endswith(f"{result.parameters:,}")
    assert not any(layer._forward_hooks for layer in model.module.modules())
    if "classes" in few.metadata:
        assert f"{len(few.metadata['classes'])}: {few.metadata['classes'][0]}, " in text


def test_a_summary_without_fields_has_layers_without_shapes(tmp_path):
    metadata = load_task("direction").make(0, Sizes(2, 2, 2)).metadata
    numbers = {"channels": [4], "features": 6, "hidden": 0, "pooling": "mean"}
    spec = VisionSpec(
        task="direction", model="frame-mean", hyperparameters=numbers, metadata=metadata
    )
    text = summary(VisionModel(build(spec).eval(), spec, tmp_path))
    assert "encoder: FrameEncoder" in text
    assert "[2, " not in text
