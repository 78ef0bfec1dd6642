"""The script docs/own_videos.py."""

from __future__ import annotations

import sys
from pathlib import Path

import av
import numpy as np
import onnxruntime
import torch

from danq.vision import InputSettings, load_vision_model, own_examples
from danq.vision import task_registry as known
from danq.vision.dataset import evaluation_batches

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "own_videos.py"


def write_video(path: Path, levels: np.ndarray) -> None:
    """Write an mp4 file with one frame per brightness."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for level in levels:
            frame = np.full((48, 64, 3), level, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode())


def test_the_script_trains_and_its_onnx_file_equals_the_model(tmp_path, monkeypatch, capsys):
    for number in range(10):
        levels = np.linspace(20 + number, 200, 3)
        write_video(tmp_path / "videos" / "brighter" / f"{number}.mp4", levels)
        write_video(tmp_path / "videos" / "darker" / f"{number}.mp4", levels[::-1])
    code = SCRIPT.read_text()
    assert len([line for line in code.splitlines() if line.strip()]) <= 46
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(known, "_REGISTERED", {})
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), "videos"])
    exec(compile(code, str(SCRIPT), "exec"), {"__name__": "__main__"})

    printed = capsys.readouterr().out.splitlines()[-2:]
    assert all(("brighter" in line) or ("darker" in line) for line in printed)
    model = load_vision_model("run")
    assert model.spec.hyperparameters == {"hidden": 64}
    _, data = own_examples("videos", "videos", InputSettings(size=(48, 48), frames=6))
    session = onnxruntime.InferenceSession("my-videos.onnx")
    with torch.inference_mode():
        for batch in evaluation_batches(model.module, data.train):
            expected = model.module(batch["clip"], batch["real"]).softmax(dim=-1).numpy()
            break
    inputs = {name: data.train[name][: len(expected)] for name in ("clip", "real")}
    (found,) = session.run(None, inputs)
    assert not inputs["real"].all()
    assert expected.std() > 1e-3
    np.testing.assert_allclose(found, expected, atol=1e-4)
