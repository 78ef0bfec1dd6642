"""Training on segments of several windows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import danq.training.fit as fit_module
from danq.core import CnnRnn
from danq.datasets.track_amounts import WindowValues
from danq.errors import InputError
from danq.inference.engine.forward import predict_dataset
from danq.inference.engine.split_model import why_not_incremental
from danq.models import load_model
from danq.models.run_options import RunOptions
from danq.training import ModelSettings, Recipe, RunSettings, train
from danq.training.segment_problem import SegmentProblem, segment_module
from tests.amount_dataset import amount_dataset

CPU = RunSettings(threads=1, device="cpu", precision="fp32", evaluate=False, checkpoint_steps=3)
SEGMENTS = {"segment_bins": 8, "segment_spacing": 100, "segment_margin": 30}


def settings(tiny, **changes):
    recipe = {"epochs": 3, "batch_size": 64, "initial_motifs": "none"} | SEGMENTS | changes
    return {"model": ModelSettings(**tiny), "recipe": Recipe(**recipe), "run": CPU}


def test_learns_a_planted_motif(planted_set, tmp_path):
    train(
        planted_set,
        out=tmp_path / "run",
        model=ModelSettings(filters=32, width=11, pool=10, hidden=8, dense=(16,)),
        recipe=Recipe(epochs=40, batch_size=64, lr=1e-2, averaging=0.9, **SEGMENTS),
        run=CPU,
    )
    model = load_model(tmp_path / "run")
    test = planted_set.indices("test")
    scores = predict_dataset(model.module, planted_set, test, RunOptions("cpu", "fp32"))
    from sklearn.metrics import roc_auc_score

    assert roc_auc_score(planted_set.labels(test)[:, 0], scores[:, 0]) > 0.9


def test_the_trained_model_is_an_ordinary_one(planted_set, tiny, tmp_path):
    train(planted_set, out=tmp_path / "run", **settings(tiny))
    model = load_model(tmp_path / "run")
    assert type(model.module) is CnnRnn
    assert why_not_incremental(model.module) is None
    weight = model.module.head.body[0].weight.unflatten(1, (model.module.pooling.steps, -1))
    read = weight.detach().abs().sum(dim=(0, 2)) > 0
    assert read.tolist() == [False] * 3 + [True] * (len(read) - 6) + [False] * 3


def test_a_training_on_segments_starts_from_another_model(planted_set, tiny, tmp_path):
    single = settings(tiny, segment_bins=1, epochs=1)
    train(planted_set, out=tmp_path / "single", **single)
    before = load_model(tmp_path / "single")
    chosen = settings(tiny, epochs=1, freeze="encoder")
    chosen["model"] = ModelSettings(pretrained=str(tmp_path / "single"))
    train(planted_set, out=tmp_path / "run", **chosen)
    after = load_model(tmp_path / "run")
    assert torch.equal(after.module.encoder.weight, before.module.encoder.weight)
    dense = [model.module.head.body[0].weight.detach() for model in (before, after)]
    columns = 3 * dense[0].shape[1] // before.module.pooling.steps
    assert dense[0][:, :columns].count_nonzero() > 0
    assert dense[1][:, :columns].count_nonzero() == 0
    assert not torch.equal(dense[0][:, columns:-columns], dense[1][:, columns:-columns])


@pytest.mark.parametrize("kill_at", [4, 10, 13])
def test_resumed_equals_uninterrupted(planted_set, tiny, tmp_path, monkeypatch, kill_at):
    train(planted_set, out=tmp_path / "whole", **settings(tiny))
    step = fit_module.Fit._step

    class Killed(Exception):
        pass

    def dies(self, *batch):
        if self.progress.step == kill_at:
            raise Killed
        return step(self, *batch)

    monkeypatch.setattr(fit_module.Fit, "_step", dies)
    with pytest.raises(Killed):
        train(planted_set, out=tmp_path / "cut", **settings(tiny))
    monkeypatch.undo()
    train(planted_set, out=tmp_path / "cut", resume=True, **settings(tiny))
    for name in ("model.safetensors", "metrics.csv"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_the_loss_is_the_mean_over_known_bins():
    problem = SegmentProblem.__new__(SegmentProblem)
    logits = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor(np.random.default_rng(0).integers(0, 2, (2, 3, 4)), dtype=torch.uint8)
    known = torch.tensor([[True, False, True], [True, True, False]])
    found = problem.loss(torch.nn.Identity(), (logits, labels, known))
    p = 1 / (1 + np.exp(-logits.double().numpy()))
    each = -np.where(labels.numpy() == 1, np.log(p), np.log1p(-p))
    np.testing.assert_allclose(float(found), each[known.numpy()].mean(), rtol=1e-6)


def test_an_automatic_number_of_epochs_counts_windows_of_segments(planted_set, tiny, tmp_path):
    dense = replace(planted_set, stride=50)  # as if every second bin were missing
    recipe = Recipe(batch_size=64, initial_motifs="none", **SEGMENTS)
    problem = SegmentProblem(dense, recipe.resolved(1))
    windows = planted_set.indices("train").size
    batches = problem.batches(0, torch.device("cpu"))
    assert batches.segments == -(-windows * 50 // 800)
    assert batches.batch_size == 8


@pytest.mark.parametrize(
    ("model", "recipe", "message"),
    [
        ({"pooling": "mean"}, {}, "needs filters of one width, the pooling 'flatten'"),
        ({"further_widths": (7,)}, {}, "needs filters of one width"),
        ({"dense": ()}, {}, "a dense layer and tracks of peaks alone"),
        ({"pool": 8}, {}, "segment_spacing is 100, no multiple of the 8 bases of a step"),
        ({}, {"segment_margin": 25}, "segment_margin is 25, no multiple of the 10 bases"),
        ({}, {"segment_margin": 100}, "segment_margin is 100, which leaves none of the 19 steps"),
        ({}, {"segment_spacing": 50}, "segment_spacing is 50, no multiple of the dataset's stride"),
    ],
)
def test_models_and_sizes_that_do_not_fit_are_refused(
    planted_set, tiny, tmp_path, model, recipe, message
):
    with pytest.raises(InputError, match=message):
        train(planted_set, out=tmp_path / "run", **settings(tiny | model, **recipe))
    assert not (tmp_path / "run").exists()


def test_amounts_and_weights_are_refused(planted_set, tiny, tmp_path):
    weights = np.ones(len(planted_set), np.float32)
    weighted = replace(planted_set, values=WindowValues(weights=weights))
    for dataset in (amount_dataset(300, peaks=True), weighted):
        with pytest.raises(InputError, match="for tracks of peaks alone, without weights"):
            train(dataset, out=tmp_path / "run", **settings(tiny | {"pool": 4, "width": 5}))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("other", [{"max_shift": 5}, {"reverse_complement": "both"}])
def test_other_augmentation_is_refused(other):
    with pytest.raises(InputError, match="with segments it"):
        Recipe(**SEGMENTS, **other)


def test_the_steps_of_stages_count(planted_set):
    stages = ({"channels": 6, "width": 3, "pool": 2},)
    module = ModelSettings(filters=8, width=11, pool=5, stages=stages, dense=(4,)).architecture
    from danq.models import build_module

    built = build_module(module, 2, 200)
    assert segment_module(built, Recipe(**SEGMENTS)).spacing == 10
