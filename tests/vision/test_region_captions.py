from __future__ import annotations

import numpy as np
import pytest
import torch

from danq.errors import InputError
from danq.vision.clip_files import write_png
from danq.vision.generators.shape_images import COLOURS
from danq.vision.task import Sizes
from danq.vision.task_registry import load_task
from danq.vision.tasks.region_captions import SIDE, described_regions


def test_boxes_contain_the_object_of_their_phrase():
    images, boxes, phrases = described_regions(10, np.random.default_rng(0))
    for image, row, said in zip(images, boxes, phrases, strict=True):
        for box, phrase in zip(row, said, strict=True):
            x, y = (box.reshape(2, 2).mean(axis=0) * SIDE - 0.5).round().astype(int)
            _, size, colour, _ = phrase.split()
            window = image[:, y - 2 : y + 3, x - 2 : x + 3].reshape(3, -1).T.tolist()
            assert list(COLOURS[colour]) in window
            width = (box[2] - box[0]) * SIDE
            assert (width > 10) == (size == "large") or 10 < width < 14


def test_the_phrase_of_a_region_is_independent_of_other_regions():
    task = load_task("regions")
    data = task.make(0, Sizes(4, 4, 4))
    module = task.models[0].build(data.metadata, **task.models[0].hyperparameters).eval()
    batch = next(data.test.batches(4, torch.device("cpu")))
    with torch.inference_mode():
        every = module(batch["image"], batch["boxes"], batch["words"])
        alone = module(batch["image"], batch["boxes"][:, 2:3], batch["words"][:, 2:3])
    torch.testing.assert_close(every[:, 2:3], alone, atol=1e-5, rtol=1e-5)


def test_boxes_are_read_from_text(tmp_path):
    task = load_task("regions")
    data = task.make(0, Sizes(4, 4, 4))
    write_png(tmp_path / "a.png", data.test["image"][0], zoom=2)
    boxes = task.read_input(tmp_path / "a.png", data.metadata, "0,0,40,40 10,20,30,60")["boxes"]
    expected = np.array([[[0, 0, 0.5, 0.5], [0.125, 0.25, 0.375, 0.75]]])
    np.testing.assert_allclose(boxes, expected)
    for text in (None, "1,2,3", "a", "30,0,10,40", "0,0,400,40"):
        with pytest.raises(InputError, match="no boxes within 80 x 80 pixels"):
            task.read_input(tmp_path / "a.png", data.metadata, text)
