from __future__ import annotations

import numpy as np
import torch

from danq.vision.task import Sizes
from danq.vision.task_registry import load_task


def built(name):
    task = load_task("audio-visual")
    data = task.make(0, Sizes(40, 8, 8))
    torch.manual_seed(0)
    module = task.model(name).build(data.metadata, **task.model(name).hyperparameters).eval()
    return task, data, module


def test_a_missing_stream_has_no_effect():
    for name in ("concat", "late", "emotiw"):
        task, data, module = built(name)
        batch = next(data.train.batches(40, torch.device("cpu")))
        lost = ~batch["present"][:, 0]
        assert lost.any()
        with torch.inference_mode():
            before = task.call(module, batch)
            batch["clip"] = batch["clip"] + torch.rand(1) * lost[:, None, None, None, None]
            after = task.call(module, batch)
        torch.testing.assert_close(before, after)


def test_padded_steps_have_no_effect():
    task, data, module = built("concat")
    batch = next(data.train.batches(40, torch.device("cpu")))
    with torch.inference_mode():
        before = task.call(module, batch)
        batch["sound"] = batch["sound"] + 5.0 * ~batch["steps"].unsqueeze(2)
        after = task.call(module, batch)
    torch.testing.assert_close(before, after)


def test_no_example_lacks_both_streams():
    _, data, _ = built("clip-only")
    assert data.train["present"].any(axis=1).all()
    assert not data.train["clip"][~data.train["present"][:, 0]].any()


def test_weights_equal_those_of_the_paper():
    _, _, module = built("emotiw")
    weights = module.get_submodule("streams.fusion").weights()  # type: ignore[operator]
    np.testing.assert_allclose(weights.numpy(), [0.25, 0.23, 0.52], atol=1e-6)


def test_a_clip_without_sound_is_classified(tmp_path):
    task, data, module = built("concat")
    np.save(tmp_path / "clip.npy", data.test["clip"][0])
    examples = task.read_input(tmp_path / "clip.npy", data.metadata, None)
    with torch.inference_mode():
        (line,) = task.predict(module, examples, data.metadata)
    assert line.split()[0] in data.metadata["classes"]
