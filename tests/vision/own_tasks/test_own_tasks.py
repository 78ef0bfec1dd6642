"""Every model of every task on own data trains on small data with foreign names and lengths."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from danq.errors import InputError
from danq.models import save_model
from danq.vision import RunSettings, load_vision_model, predict, summary, train
from danq.vision.own_data import own_inputs
from danq.vision.task_registry import OWN_TASKS, load_task
from danq.vision.vision_model_file import VisionSpec
from tests.vision.small_own_data import KINDS, small_data
from tests.vision.small_torchvision import use_small_torchvision

QUIET = RunSettings(device="cpu", threads=1, quiet=True)
CPU = torch.device("cpu")
MASKED = {"real": ("clip", "series"), "sound_real": ("sound",)}
"""Fields that a mask concerns."""


@pytest.fixture(autouse=True)
def small_torchvision(monkeypatch):
    use_small_torchvision(monkeypatch)


def test_every_task_has_small_data():
    assert set(KINDS) == set(OWN_TASKS)


def built(task, name=None):
    data = small_data(task.name)
    metadata = {**data.metadata, **task.facts(data)}
    model = task.model(name)
    torch.manual_seed(0)
    return data, metadata, model, model.build(metadata, **model.hyperparameters)


@pytest.mark.parametrize("name", OWN_TASKS)
def test_every_model_has_gradients_and_keeps_its_loss_in_the_model_file(name, tmp_path):
    task = load_task(name)
    for model in task.models:
        data, metadata, _, module = built(task, model.name)
        batch = next(data.train.batches(6, CPU))
        loss = task.loss(module, batch)
        loss.backward()
        assert loss.isfinite()
        assert all(p.grad is not None for p in module.parameters())
        spec = VisionSpec(
            task=name,
            model=model.name,
            hyperparameters=dict(model.hyperparameters),
            metadata=metadata,
        )
        save_model(tmp_path / "model.safetensors", module, spec)
        loaded = load_vision_model(tmp_path)
        assert torch.equal(task.loss(loaded.module, batch), task.loss(module.eval(), batch))


@pytest.mark.parametrize("name", OWN_TASKS)
def test_the_loss_of_a_batch_is_the_weighted_mean_of_those_of_its_parts(name):
    task = load_task(name)
    data, _, _, module = built(task)
    batch = next(data.train.batches(6, CPU))
    for field in {"labels", "tags"} & task.fields.keys():
        if task.fields[field].startswith("int64"):
            batch[field][:4, 1:] = -1
    parts = [{key: x[rows] for key, x in batch.items()} for rows in (slice(0, 4), slice(4, 6))]
    module.eval()
    with torch.inference_mode():
        losses = [float(task.loss(module, part)) for part in (batch, *parts)]
    weights = [task.weight(part) for part in (batch, *parts)]
    assert weights[0] == weights[1] + weights[2]
    assert losses[0] == pytest.approx(np.average(losses[1:], weights=weights[1:]), rel=1e-5)


@pytest.mark.parametrize("name", OWN_TASKS)
def test_a_model_that_was_trained_on_arrays_reads_no_files(name, tmp_path):
    (tmp_path / "a.txt").write_text("some words")
    metadata = small_data(name).metadata
    with pytest.raises(InputError, match=r"trained on arrays, and does not say how files are read"):
        own_inputs(name, tmp_path / "a.txt", metadata)


@pytest.mark.parametrize("name", [name for name in OWN_TASKS if name.startswith(("vi", "se"))])
def test_padding_changes_no_output(name):
    task = load_task(name)
    for model in task.models:
        data, _, _, module = built(task, model.name)
        batch = next(data.valid.batches(6, CPU))
        module.eval()
        with torch.inference_mode():
            before = task.call(module, batch)
            for mask, fields in MASKED.items():
                for field in fields:
                    if field in batch:
                        batch[field] = batch[field] + 9 * padding(batch[field], batch[mask])
            after = task.call(module, batch)
        assert torch.allclose(before, after, atol=1e-6)
        assert before.std() > 0


def padding(values, mask):
    return (~mask).reshape(*mask.shape, *[1] * (values.dim() - 2)).to(values.dtype)


@pytest.mark.parametrize("name", OWN_TASKS)
def test_a_training_decreases_the_loss_and_predicts_with_the_names_of_the_data(name, tmp_path):
    data = small_data(name)
    settings = {"epochs": 3, "batch_size": 12}
    result = train(name, data=data, out=tmp_path / "run", settings=settings, run=QUIET)
    task = load_task(name)
    assert result.losses[1] < result.losses[0]
    assert set(result.metrics) == set(task.reported_metrics)
    assert np.isfinite([*result.metrics.values()]).all()
    lines = predict(tmp_path / "run", data.test, device="cpu")
    assert len(lines) == len(data.test)
    known = {"classes", "names", "answers", "vocabulary"} & set(data.metadata)
    words = {word for entry in known for word in data.metadata[entry]} | {"no label"}
    assert all(any(word in line for word in words) for line in lines)
    assert name in summary(tmp_path / "run")


def test_own_tasks_have_no_examples(tmp_path):
    with pytest.raises(InputError, match=r"'image-classes' is for files of your own"):
        train("image-classes", out=tmp_path / "run")
    with pytest.raises(InputError, match="no task is given"):
        train(out=tmp_path / "run")
    data = small_data("image-classes")
    del data.metadata["classes"]
    with pytest.raises(InputError, match="no entry 'classes'"):
        train("image-classes", data=data, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_unknown_answer_counts_as_wrong():
    task = load_task("image-questions")
    data, _, _, module = built(task)
    batch = next(data.valid.batches(6, CPU))
    known = task.loss(module.eval(), batch)
    batch["answer"][:] = -1
    assert task.loss(module, batch) == 0
    assert known > 0
    answers = data.valid["answer"].copy()
    answers[0] = -1
    examples = type(data.valid)({**data.valid.arrays, "answer": answers})
    found = np.where(answers < 0, 0, answers)
    assert task.score(found, examples)["accuracy"] == pytest.approx(1 - 1 / len(answers))
    truth = task.truth(found, examples, data.metadata)
    assert truth is not None
    assert truth.confusion().sum() == len(answers) - 1
