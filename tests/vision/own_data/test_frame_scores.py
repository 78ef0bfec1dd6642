from __future__ import annotations

import logging
import re

import numpy as np
import pytest
import torch

from danq.errors import InputError
from danq.vision.own_data import InputSettings, own_examples
from danq.vision.own_tasks.clip_tasks import VideoFrames
from tests.vision.own_data.test_file_examples import write_gif, write_table

DARK, BRIGHT = 40, 200


def frame_table(folder, valid):
    """Clips of 11 frames, the first 4 of which are dark; classes of the validation clips."""
    rows = []
    for number in range(12):
        split = ("train", "train", "valid", "test")[number % 4]
        # A GIF keeps equal frames once.
        levels = [DARK + number + i for i in range(4)] + [BRIGHT - number - i for i in range(7)]
        write_gif(folder / f"{number}.gif", levels, (8, 8))
        names = ["dark"] * 3 + [""] + ["bright"] * 7
        rows.append((f"{number}.gif", split, ";".join(valid if split == "valid" else names)))
    return write_table(folder / "t.csv", rows, ("path", "split", "frames"))


def test_all_frames_with_a_class_are_scored(tmp_path, caplog):
    valid = [""] * 4 + ["bright"] * 7
    table = frame_table(tmp_path, valid)
    with caplog.at_level(logging.INFO, "danq"):
        _, data = own_examples("videos", table, InputSettings(frames=3))
    # Frames 1, 5 and 9 of the segments 0-3, 4-7 and 8-10.
    assert "111 frames have a class; evaluation gives 33 of them to the model" in caplog.text
    task = VideoFrames()
    dark, bright = (data.metadata["classes"].index(name) for name in ("dark", "bright"))
    steps = np.full((len(data.test), 3), bright)
    for wrong, accuracy in (((), 7 / 10), ((0,), 1.0), ((0, 1), 6 / 10), ((2,), 4 / 10)):
        predictions = steps.copy()
        predictions[:, list(wrong)] = dark
        assert task.score(predictions, data.test)["accuracy"] == pytest.approx(accuracy)
    true = task.truth(steps, data.test, data.metadata).true
    assert len(true) == 30
    module = torch.nn.Conv1d(1, 1, 1)
    outputs = np.eye(2)[steps].astype(np.float32)
    task.call = lambda *_: torch.from_numpy(outputs)  # type: ignore[method-assign]
    assert task.validation(module, data.valid)["accuracy"] == 1.0


def test_a_split_without_classes_is_refused(tmp_path):
    for valid in ([""] * 11, ["dark"] + [""] * 10):
        table = frame_table(tmp_path, valid)
        problem = "no frame of the split 'valid' that the model receives has a class"
        with pytest.raises(InputError, match=re.escape(problem)):
            own_examples("videos", table, InputSettings(frames=3))
