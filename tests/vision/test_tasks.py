from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from danq import _memory as memory
from danq.errors import InputError
from danq.models import ModelCard, load_model, save_model
from danq.vision import (
    TASKS,
    Recipe,
    RunSettings,
    bench,
    list_models,
    load_vision_model,
    make_dataset,
    predict,
    read_dataset,
    train,
    write_dataset,
    write_reports,
)
from danq.vision.dataset import Dataset, Examples, ShuffledBatches
from danq.vision.own_tasks.backbone_weights import prepared_for_backbone
from danq.vision.task import Sizes
from danq.vision.task_registry import load_task
from danq.vision.vision_model_file import VisionSpec, build

TINY = Sizes(24, 8, 8)
QUIET = RunSettings(device="cpu", threads=1, quiet=True)


@pytest.mark.parametrize("name", TASKS)
def test_the_seed_determines_the_examples(name):
    task = load_task(name)
    first, again, other = (task.make(seed, TINY) for seed in (3, 3, 4))
    assert first.sha256 == again.sha256
    assert first.sha256 != other.sha256
    assert [len(split) for split in (first.train, first.valid, first.test)] == [24, 8, 8]
    assert first.metadata == other.metadata


@pytest.mark.parametrize("name", TASKS)
def test_every_model_trains_and_keeps_its_loss_in_the_model_file(name, tmp_path):
    task = load_task(name)
    data = task.make(0, TINY)
    batch = next(data.train.batches(4, torch.device("cpu")))
    for model in task.models:
        assert prepared_for_backbone(model, data) is data
        module = model.build(data.metadata, **model.hyperparameters)
        loss = task.loss(module, batch)
        loss.backward()
        assert loss.isfinite()
        assert any(p.grad is not None and p.grad.any() for p in module.parameters())
        task.prepare(module, data.train)
        with torch.inference_mode():
            metrics = task.validation(module.eval(), data.valid)
        assert np.isfinite(metrics["loss"])
        monitor = Recipe(**(task.recipe.model_dump() | dict(model.recipe))).monitor
        assert monitor in {*metrics, "epoch"}
        module.train()
        spec = VisionSpec(
            task=name,
            model=model.name,
            hyperparameters=dict(model.hyperparameters),
            metadata=data.metadata,
        )
        save_model(tmp_path / "model.safetensors", module, spec)
        loaded = load_vision_model(tmp_path)
        assert loaded.spec == spec
        assert torch.equal(task.loss(loaded.module, batch), task.loss(module.eval(), batch))


@pytest.mark.parametrize("name", TASKS)
def test_names_are_unique_and_reported_metrics_exist(name):
    task = load_task(name)
    assert task.name == name
    assert len({model.name for model in task.models}) == len(task.models)
    data = task.make(0, TINY)
    module = build_first(task, data).eval()
    with torch.inference_mode():
        metrics = task.metrics(module, data.test)
    reported = set(task.reported_metrics)
    assert set(metrics) <= {*reported, "loss"} or reported <= set(metrics)
    for evaluate in task.baselines(data, True).values():
        assert set(evaluate()) & reported


@pytest.mark.parametrize("name", TASKS)
def test_decoded_outputs_have_the_score_of_the_module(name):
    task = load_task(name)
    data = task.make(0, TINY)
    module = build_first(task, data).eval()
    with torch.inference_mode():
        metrics = task.metrics(module, data.test)
        score = task.score(task.decode(task.outputs(module, data.test)), data.test)
    assert score
    assert score == {key: pytest.approx(metrics[key], rel=1e-5) for key in score}


def test_perfect_sums_have_no_loss():
    task = load_task("adding")
    test = task.make(0, TINY).test
    assert task.score(task.decode(test["total"][:, None]), test) == {"loss": 0}


def build_first(task, data):
    model = task.models[0]
    return model.build(data.metadata, **model.hyperparameters)


def test_an_epoch_has_every_example_once_and_can_start_at_any_batch():
    examples = Examples({"a": np.arange(10), "b": np.arange(10) * 2})
    stream = ShuffledBatches(examples, 4, seed=1)
    whole = list(stream.epoch(3))
    assert len(stream) == len(whole) == 3
    assert sorted(np.concatenate([a for a, _ in whole])) == list(range(10))
    assert all((b == 2 * a).all() for a, b in whole)
    rest = list(stream.epoch(3, start_batch=2))
    np.testing.assert_array_equal(rest[0][0], whole[2][0])
    assert [list(a) for a, _ in stream.epoch(4)] != [list(a) for a, _ in whole]


def test_no_batch_has_a_single_example():
    for count, sizes in ((9, [4, 5]), (8, [4, 4]), (10, [4, 4, 2]), (1, [1]), (4, [4])):
        stream = ShuffledBatches(Examples({"a": np.arange(count)}), 4, seed=0)
        assert [len(a) for (a,) in stream.epoch(0)] == sizes
        assert len(stream) == len(sizes)


def test_fields_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="differ in length"):
        Examples({"a": np.zeros(2), "b": np.zeros(3)})


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vision")
    result = train(
        "direction",
        out=folder / "run",
        model="c3d",
        quick=True,
        run=RunSettings(device="cpu", threads=1),
    )
    return folder, result


def test_a_quick_training_beats_chance_and_its_file_predicts(trained):
    folder, result = trained
    assert result.metrics["accuracy"] > 0.6
    clip = load_task("direction").make(9, TINY).test.rows(slice(0, 1))
    np.save(folder / "clip.npy", clip["clip"][0])
    (line,) = predict(folder / "run", folder / "clip.npy", device="cpu")
    words = line.split()
    model = load_vision_model(folder / "run")
    assert words[0] in model.spec.metadata["classes"]
    with torch.inference_mode():
        x = torch.from_numpy(clip["clip"]).float() / 255
        probabilities = model.module(x).softmax(dim=1)[0]
    assert words[0] == model.spec.metadata["classes"][int(probabilities.argmax())]
    assert float(words[1]) == pytest.approx(float(probabilities.max()), abs=1e-3)
    names = {path.name for path in (folder / "run").iterdir()}
    assert {"model.safetensors", "last.ckpt", "config.toml", "metrics.csv", "test.tsv"} <= names


def test_model_file_records_its_training(trained):
    folder, result = trained
    spec = load_vision_model(folder / "run").spec
    assert (spec.task, spec.model) == ("direction", "c3d")
    assert spec.training["epoch"] == result.best_epoch
    assert sum(p.numel() for p in build(spec).parameters()) == result.parameters
    with pytest.raises(InputError, match=r"vision task 'direction'.*danq\.vision"):
        load_model(folder / "run")


class Killed(Exception):
    pass


def test_resumed_equals_uninterrupted(tmp_path, monkeypatch):
    from danq.training.fit import Fit

    data = load_task("direction").make(0, Sizes(96, 16, 16))
    recipe = Recipe(epochs=3, batch_size=32, averaging=0.9)
    run = QUIET.replaced(RunSettings(card=ModelCard(license="MIT")))
    choices = {"data": data, "recipe": recipe, "run": run}
    train("direction", out=tmp_path / "whole", **choices)
    step = Fit._step

    held = set()

    def interrupted(self, *batch):
        held.add(memory._users > 0)
        if self.progress.step == 7:
            raise Killed
        return step(self, *batch)

    monkeypatch.setattr(Fit, "_step", interrupted)
    with pytest.raises(Killed):
        train("direction", out=tmp_path / "cut", **choices)
    assert held == {memory._glibc() is not None}
    monkeypatch.undo()
    train("direction", out=tmp_path / "cut", resume=True, **choices)
    cut, whole = (tmp_path / name / "model.safetensors" for name in ("cut", "whole"))
    assert cut.read_bytes() == whole.read_bytes()
    assert load_vision_model(cut).spec.training["card"]["license"] == "MIT"
    config = (tmp_path / "cut" / "config.toml").read_bytes()
    other = choices | {"data": load_task("direction").make(1, Sizes(96, 16, 16))}
    longer = recipe.replaced(Recipe(epochs=4))
    seeded = run.replaced(RunSettings(seed=1))
    for given, change in (
        (choices | {"recipe": longer}, "recipe epochs: 3; now it is 4"),
        (choices | {"run": seeded}, "run seed: 0; now it is 1"),
        (choices | {"model": "c3d"}, "model name: cnn-lstm; now it is c3d"),
        (other, None),
    ):
        with pytest.raises(InputError) as caught:
            train("direction", out=tmp_path / "cut", resume=True, **given)
        assert caught.value.problem == (
            f"the run began with {change}"
            if change
            else "the data given is not the dataset that the run began with"
        )
    assert (tmp_path / "cut" / "config.toml").read_bytes() == config


def test_a_written_dataset_is_read_back(tmp_path):
    data = make_dataset("direction", 1, quick=True)
    small = Dataset(
        **{s: getattr(data, s).rows(slice(0, 20)) for s in ("train", "valid", "test")},
        metadata=data.metadata,
    )
    write_dataset(tmp_path / "own", small)
    choices = {"run": QUIET, "recipe": Recipe(epochs=1)}
    result = train("direction", out=tmp_path / "run", data=tmp_path / "own", **choices)
    assert load_vision_model(result.directory).spec.data_sha256 == small.sha256
    (tmp_path / "own" / "valid" / "label.npy").unlink()
    with pytest.raises(InputError, match=r"valid/label\.npy: no such file"):
        train("direction", out=tmp_path / "run2", data=tmp_path / "own", **choices)
    np.save(tmp_path / "own" / "valid" / "label.npy", np.zeros(20, np.float32))
    with pytest.raises(InputError, match=r"float32 with 1 axes; expected int64 with axes \(N\)"):
        train("direction", out=tmp_path / "run2", data=tmp_path / "own", **choices)


def test_bench_reports_mean_and_deviation_and_writes_json(tmp_path, monkeypatch):
    import json

    from danq.vision import benchmark

    task = load_task("direction")
    type_ = type(task)
    monkeypatch.setattr(type_, "models", task.models[2:4])
    monkeypatch.setattr(type_, "quick_sizes", Sizes(64, 16, 16))
    (report,) = bench(["direction"], seeds=2, quick=True, device="cpu", threads=1)
    write_reports(tmp_path / "b.json", [report])
    text = report.text()
    assert "c3d" in text
    assert "±" in text
    assert "not evaluated in the quick form" in text
    found = json.loads((tmp_path / "b.json").read_text())
    assert found["format_version"] == 3
    assert [len(row["metrics"]) for row in found["tasks"][0]["rows"]] == [2, 2]
    row = benchmark.Row("x", [{"accuracy": 0.5}, {"accuracy": 0.7}], [1.0, 3.0])
    assert benchmark.mean_and_error([0.5, 0.7]) == pytest.approx((0.6, 0.1))
    assert row.mean_and_deviation("accuracy") == "0.6000 ± 0.1414"


@pytest.mark.parametrize(
    ("margins", "met", "text"),
    [
        ([0.1, 0.3], True, "met (+0.2000 ± 0.1000)"),
        ([-0.1, 0.2], False, "not met (+0.0500 ± 0.1500)"),
        ([-0.1, -0.3], False, "not met (-0.2000 ± 0.1000)"),
        ([0.1], None, "needs two seeds (+0.1000 with one)"),
        ([], None, "not evaluated in the quick form"),
    ],
)
def test_a_target_is_met_only_beyond_the_standard_error(margins, met, text):
    from danq.vision.benchmark import TargetResult, exceeds_error

    assert exceeds_error(margins) is met
    assert TargetResult("x", margins, met).result() == text


def test_margins_are_paired_by_seed():
    from danq.vision.benchmark import Row, report_on

    task = load_task("gunpoint")
    names = ["cnn-lstm", "1-NN Euclidean", "1-NN DTW"]
    values = [[0.9, 0.6, 0.8], [0.8, 0.5, 0.7], [0.5, 0.5, 0.5]]
    rows = [
        Row(name, [{"accuracy": one} for one in row], [1.0] * 3)
        for name, row in zip(names, values, strict=True)
    ]
    (target,) = [
        one for one in report_on(task, rows, False, [0, 1, 2]).targets if "Eucl" in one.text
    ]
    assert target.margins == pytest.approx([0.1, 0.1, 0.1])
    assert target.met


def test_list_counts_parameters():
    entries = {entry.model: entry for entry in list_models(["direction"])}
    filters = 27 * 8 + 27 * 8 * 16 + 27 * 16 * 32
    biases_and_norms = 3 * (8 + 16 + 32)
    assert entries["c3d"].parameters == filters + biases_and_norms + 32 * 4 + 4
    assert all(dataclasses.asdict(entry)["paper"] for entry in entries.values())


def test_unknown_names_are_refused():
    with pytest.raises(InputError, match=r"no task is named 'x'.*direction"):
        load_task("x")
    with pytest.raises(InputError, match=r"no model 'x'.*c3d"):
        load_task("direction").model("x")


def test_invalid_settings_are_refused(tmp_path):
    with pytest.raises(InputError, match="lr: Input should be greater than 0"):
        train("direction", out=tmp_path / "run", recipe=Recipe(lr=-1))
    with pytest.raises(InputError, match="no model 'x'"):
        train("direction", out=tmp_path / "run", model="x")
    with pytest.raises(InputError, match="seeds is 0, not above 0"):
        bench(["direction"], seeds=0)
    with pytest.raises(InputError, match="no hyperparameter 'depth'"):
        load_task("direction").model(None).with_hyperparameters(depth=3)
    assert not (tmp_path / "run").exists()


def test_reading_a_dataset_makes_no_examples(tmp_path, monkeypatch):
    task = load_task("direction")
    data = task.make(0, TINY)
    write_dataset(tmp_path / "data", data)

    def fail(*_):
        raise AssertionError("examples were made")

    monkeypatch.setattr(type(task), "make", fail)
    monkeypatch.setattr(type(task), "draw", fail)
    assert read_dataset(tmp_path / "data", task).sha256 == data.sha256


@pytest.mark.parametrize("name", TASKS)
def test_examples_have_the_declared_fields(name):
    task = load_task(name)
    data = task.make(0, TINY)
    for examples in (data.train, data.valid, data.test):
        found = {key: (str(a.dtype), a.ndim - 1) for key, a in examples.arrays.items()}
        layouts = {key: layout.split() for key, layout in task.fields.items()}
        assert found == {key: (kind, len(axes)) for key, (kind, *axes) in layouts.items()}
    assert data.metadata == task.metadata()
