from __future__ import annotations

import numpy as np
import torch

from danq.vision.registry import load_task
from danq.vision.task import Sizes


def built(name):
    task = load_task("audio-visual")
    data = task.make(0, Sizes(40, 8, 8))
    torch.manual_seed(0)
    module = task.system(name).build(data.facts, **task.system(name).numbers).eval()
    return task, data, module


def test_what_is_missing_changes_nothing():
    for name in ("concat", "late", "emotiw"):
        task, data, module = built(name)
        batch = next(data.train.rounds(40, torch.device("cpu")))
        lost = ~batch["present"][:, 0]
        assert lost.any()
        with torch.inference_mode():
            before = task.call(module, batch)
            batch["clip"] = batch["clip"] + torch.rand(1) * lost[:, None, None, None, None]
            after = task.call(module, batch)
        torch.testing.assert_close(before, after)


def test_padded_steps_change_nothing():
    task, data, module = built("concat")
    batch = next(data.train.rounds(40, torch.device("cpu")))
    with torch.inference_mode():
        before = task.call(module, batch)
        batch["sound"] = batch["sound"] + 5.0 * ~batch["steps"].unsqueeze(2)
        after = task.call(module, batch)
    torch.testing.assert_close(before, after)


def test_no_example_lacks_both_streams():
    _, data, _ = built("clip-alone")
    assert data.train["present"].any(axis=1).all()
    assert not data.train["clip"][~data.train["present"][:, 0]].any()


def test_weights_are_those_of_the_paper():
    _, _, module = built("emotiw")
    weights = module.get_submodule("streams.fusion").weights()  # type: ignore[operator]
    np.testing.assert_allclose(weights.numpy(), [0.25, 0.23, 0.52], atol=1e-6)


def test_a_clip_alone_can_be_judged(tmp_path):
    task, data, module = built("concat")
    np.save(tmp_path / "clip.npy", data.test["clip"][0])
    examples = task.read(tmp_path / "clip.npy", data.facts, None)
    with torch.inference_mode():
        (line,) = task.tell(module, examples, data.facts, torch.device("cpu"), None)
    assert line.split()[0] in data.facts["classes"]
