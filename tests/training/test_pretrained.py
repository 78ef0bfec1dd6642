"""Trainings that start from another model."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import danq.training.fit as fit_module
from danq.core import CnnRnn, FrameEncoder, Mean, conv_encoder
from danq.datasets.dataset import Dataset
from danq.errors import InputError
from danq.files.sealed_safetensors import write_sealed
from danq.models import ModelSpec, architecture, load_model, save_model, summary, untrained
from danq.models.stored_model import FORMAT_VERSION
from danq.models.targets import TargetGroup, parts
from danq.provenance import Provenance
from danq.training import ModelSettings, Recipe, RunSettings, read_config, train
from danq.training.checkpoint import Checkpoints
from danq.training.fabric import make_fabric
from danq.training.fit import Fit
from danq.training.matching_layers import copy_layers, match_layers
from danq.training.optimizer import TakenLayers, build_optimizer
from danq.training.recipe import BaseRecipe
from danq.training.run_log import RunLog
from tests.amount_dataset import amount_dataset

from .conftest import planted

CPU = RunSettings(threads=1, device="cpu", precision="fp32", evaluate=False, quiet=True)
QUICK = {"epochs": 1, "batch_size": 64}


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A run directory with a model of the tracks "planted" and "noise"."""
    out = tmp_path_factory.mktemp("source") / "first"
    shape = {"filters": 12, "width": 11, "pool": 10, "hidden": 6, "dense": (8,)}
    train(planted(), out=out, model=ModelSettings(**shape), recipe=Recipe(**QUICK), run=CPU)
    return out


@pytest.fixture(scope="module")
def other_set() -> Dataset:
    """The track "noise" of the pretrained model, and a new one."""
    return replace(planted(seed=3), tracks=("noise", "new"))


def start_from(source: Path, data: Dataset, out: Path, model=(), **recipe) -> Path:
    settings = ModelSettings(pretrained=source, **dict(model))
    train(data, out=out, model=settings, recipe=Recipe(**(QUICK | recipe)), run=CPU)
    return out


def first_weights(monkeypatch, call: Callable[[], Any]) -> dict[str, torch.Tensor]:
    """Weights before the first step of a training."""
    seen: dict[str, torch.Tensor] = {}

    def dies(self, *_):
        seen.update({name: value.clone() for name, value in self.plain.state_dict().items()})
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(fit_module.Fit, "_step", dies)
        with pytest.raises(Killed):
            call()
    return seen


def test_layers_and_rows_of_kept_tracks_are_taken(source, other_set, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO, "danq")
    out = tmp_path / "run"
    found = first_weights(monkeypatch, lambda: start_from(source, other_set, out))
    model = load_model(source)
    before = model.module.state_dict()
    for name, value in found.items():
        if not name.startswith("head.output."):
            assert torch.equal(value, before[name]), name
    kept = model.tracks.index("noise")
    for name in ("head.output.weight", "head.output.bias"):
        assert torch.equal(found[name][0], before[name][kept])
        assert not torch.equal(found[name][1], before[name][1 - kept])
    rate = other_set.positives("train")[1] / len(other_set.indices("train"))
    assert found["head.output.bias"][1].sigmoid() == pytest.approx(rate, abs=1e-6)
    assert not any("\n" in one for one in caplog.messages)
    table = "\n".join(caplog.messages)
    assert "4 layers taken, 0 new" in table
    assert "encoder       12 x 4 x 11  taken      learning rate x 0.1" in table
    assert "head.output   2 x 8        some rows  taken for 1 of 2 tracks" in table
    assert not any("initialised" in one for one in caplog.messages)
    assert not (out / "initial_motifs.meme").exists()


def test_the_record_is_in_the_run_directory_and_in_the_model(source, other_set, tmp_path):
    out = start_from(source, other_set, tmp_path / "run")
    again = start_from(out, other_set, tmp_path / "again", {"temporal": "gru"})
    record = json.loads((out / "pretrained.json").read_text())
    header = load_model(out).spec.training
    assert header["pretraining"] == record
    (only,) = record
    assert only["model"] == "first/model.safetensors"
    assert only["sha256"] == load_model(source).sha256
    assert only["tracks"] == ["noise"]
    assert [one["origin"] for one in only["layers"]] == ["taken"] * 3 + ["tracks"]
    assert only["splits"] == load_model(source).spec.training["splits"]
    first, second = load_model(again).spec.training["pretraining"]
    assert first == only
    assert second["sha256"] == load_model(out).sha256
    assert [one["origin"] for one in second["layers"]] == ["taken", "new", "new", "new"]
    text = summary(again)
    assert f"run/model.safetensors (sha256 {load_model(out).sha256}): 1 of 4 layers taken" in text
    assert f"first/model.safetensors (sha256 {only['sha256']}): 4 of 4 layers taken" in text
    assert "train c; validation c; test c" in text


@pytest.mark.parametrize("base", ["default", "paper"])
@pytest.mark.parametrize("freeze", ["encoder", "temporal"])
def test_frozen_layers_do_not_change_in_any_bit(source, other_set, tmp_path, base, freeze):
    recipe = {"base": base, "freeze": freeze, "weight_decay": 0.5, "epochs": 2, "averaging": 0.9}
    out = start_from(source, other_set, tmp_path / "run", frozen_epochs=1, **recipe)
    before, after = load_model(source).module, load_model(out).module
    frozen = ("encoder.", "temporal.") if freeze == "temporal" else ("encoder.",)
    for name, value in after.state_dict().items():
        same = value.numpy().tobytes() == before.state_dict()[name].numpy().tobytes()
        assert same == name.startswith(frozen), name


def test_a_frozen_encoder_keeps_its_normalisation(other_set, tmp_path):
    first, shape = tmp_path / "first", {"filters": 12, "width": 11, "pool": 10, "hidden": 6}
    model = ModelSettings(encoder_norm=True, dense=(8,), **shape)
    train(planted(), out=first, model=model, recipe=Recipe(**QUICK), run=CPU)
    out = start_from(first, other_set, tmp_path / "run", freeze="encoder")
    before, after = load_model(first).module.state_dict(), load_model(out).module.state_dict()
    assert "encoder.norm.running_mean" in after
    for name, value in after.items():
        assert torch.equal(value, before[name]) == name.startswith("encoder."), name


def test_frozen_normalisation_keeps_its_statistics_and_signs_of_zeros(tmp_path):
    """A frozen part is not trained, averaged, decayed, or normalised by batches."""
    torch.manual_seed(0)
    backbone = nn.Sequential(conv_encoder(2, 1, [3]), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    module = CnnRnn(FrameEncoder(backbone, 3), None, Mean(3), nn.Linear(3, 2))
    with torch.no_grad():
        next(module.encoder.parameters()).view(-1)[:5] = -0.0
    before = {name: value.clone() for name, value in module.state_dict().items()}

    class Toy:
        def batches(self, seed, device):
            return self

        def __len__(self):
            return 4

        def epoch(self, epoch, start_batch=0):
            rng = np.random.default_rng(epoch)
            for _ in range(start_batch, 4):
                yield (rng.normal(3, 2, (8, 2, 1, 6, 6)).astype(np.float32),)

        def loss(self, module, batch):
            return module(batch[0]).square().mean()

        def validate(self, module, device, precision, processes):
            return {"loss": 0.0}

    taken = TakenLayers(frozenset(), 1.0, ("encoder",))
    recipe = BaseRecipe(epochs=2, weight_decay=0.5, averaging=0.9)
    (tmp_path / "run").mkdir()
    checkpoints = Checkpoints(tmp_path / "run", Provenance())
    fabric = make_fabric(torch.device("cpu"), CPU)
    fit = Fit(module, Toy(), recipe, fabric, CPU, checkpoints, taken)
    with RunLog(tmp_path / "run", active=False, unit="windows") as log:
        list(fit.run(log))
    for best in (fit.plain, fit.best_module):
        for name, value in best.state_dict().items():
            same = value.numpy().tobytes() == before[name].numpy().tobytes()
            assert same == name.startswith("encoder."), name
    optimised = {p for group in fit.optimizer.param_groups for p in group["params"]}
    assert optimised == set(module.head.parameters())


@pytest.mark.parametrize("optimizer", ["adamw", "rmsprop"])
def test_taken_layers_have_a_lower_learning_rate(optimizer):
    module = untrained("danq-small", architecture("danq-small"), ("a", "b"), 200, 100).module
    taken = TakenLayers(frozenset({"encoder.weight", "temporal.rnn.weight_hh_l0"}), 0.25)
    recipe = Recipe(optimizer=optimizer, encoder_lr=0.5)
    groups = build_optimizer(module, recipe, taken).param_groups
    shares = {p: group["share"] for group in groups for p in group["params"]}
    named = dict(module.named_parameters())
    assert len(shares) == len(named)
    assert shares[named["encoder.weight"]] == 0.125
    assert shares[named["encoder.bias"]] == 0.5
    assert shares[named["temporal.rnn.weight_hh_l0"]] == 0.25
    assert shares[named["head.output.bias"]] == 1


def test_a_track_set_that_is_kept_trains_all_layers_at_the_lower_rate(source, tmp_path):
    out = start_from(source, planted(), tmp_path / "run", epochs=1)
    (record,) = json.loads((out / "pretrained.json").read_text())
    assert {one["origin"] for one in record["layers"]} == {"taken"}
    assert record["layers"][-1]["detail"] == "taken for 2 of 2 tracks"


@pytest.mark.parametrize(("base", "kill_at"), [("default", 0), ("default", 5), ("paper", 13)])
def test_resumed_equals_uninterrupted_and_needs_no_model(
    source, other_set, tmp_path, monkeypatch, base, kill_at
):
    copy = tmp_path / "copy"
    shutil.copytree(source, copy)
    run = CPU.replaced(RunSettings(checkpoint_steps=5, quiet=False))
    recipe = Recipe(base=base, epochs=2, batch_size=64, freeze="encoder")
    choices = {"model": ModelSettings(pretrained=copy), "recipe": recipe, "run": run}
    train(other_set, out=tmp_path / "whole", **choices)
    step = fit_module.Fit._step

    def dies(self, *batch):
        if self.progress.step == kill_at:
            raise Killed
        return step(self, *batch)

    with monkeypatch.context() as patched:
        patched.setattr(fit_module.Fit, "_step", dies)
        with pytest.raises(Killed):
            train(other_set, out=tmp_path / "cut", **choices)
    shutil.rmtree(copy)
    train(other_set, out=tmp_path / "cut", resume=True)
    for name in ("model.safetensors", "metrics.csv", "pretrained.json", "config.toml"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def cut_run(source, data, out, monkeypatch, model=None) -> Path:
    settings = model or ModelSettings(pretrained=source)
    first_weights(
        monkeypatch,
        lambda: train(data, out=out, model=settings, recipe=Recipe(**QUICK), run=CPU),
    )
    return out


def test_resume_with_a_model(source, other_set, tmp_path, monkeypatch):
    out = cut_run(source, other_set, tmp_path / "run", monkeypatch)
    other = start_from(source, other_set, tmp_path / "other")
    with pytest.raises(InputError, match=r"other/model.safetensors: is not the model that the run"):
        train(other_set, out=out, model=ModelSettings(pretrained=other), resume=True)
    (out / "pretrained.json").rename(tmp_path / "kept")
    with pytest.raises(InputError, match=r"pretrained.json: is missing: it names the layers"):
        train(other_set, out=out, resume=True)
    text = (tmp_path / "kept").read_text()
    for changed, message in (
        ("[1", "pretrained.json: "),
        ("[]", "pretrained.json: names no model"),
        ('{"a": 1}', "not a list"),
        ("[{}]", "damaged record of the training: model: "),
        (text.replace('"taken"', '"new"', 1), "the run began with model pretrained"),
    ):
        (out / "pretrained.json").write_text(changed)
        with pytest.raises(InputError, match=message):
            train(other_set, out=out, resume=True)
    (out / "pretrained.json").write_text(text)
    result = train(other_set, out=out, model=ModelSettings(pretrained=source), resume=True)
    assert result.epochs == 1


def test_a_run_without_a_model_is_not_resumed_with_one(source, tiny, tmp_path, monkeypatch):
    out = cut_run(source, planted(), tmp_path / "run", monkeypatch, ModelSettings(**tiny))
    # It has no checkpoint yet, so it begins again, from the model.
    result = train(planted(), out=out, model=ModelSettings(pretrained=source), resume=True)
    assert (out / "pretrained.json").is_file()
    assert result.epochs == 1
    plain = tmp_path / "plain"
    train(planted(), out=plain, model=ModelSettings(**tiny), recipe=Recipe(**QUICK), run=CPU)
    with pytest.raises(InputError, match="started from initial weights"):
        train(planted(), out=plain, model=ModelSettings(pretrained=source), resume=True)


def longer(data: Dataset, window: int) -> Dataset:
    return replace(data, window=window)


def test_another_window(source, other_set, tmp_path, caplog):
    caplog.set_level(logging.INFO, "danq")
    out = start_from(source, longer(other_set, 300), tmp_path / "run")
    (record,) = json.loads((out / "pretrained.json").read_text())
    details = {one["name"]: (one["origin"], one["detail"]) for one in record["layers"]}
    assert details == {
        "encoder": ("taken", ""),
        "temporal.rnn": ("taken", ""),
        "head.body.0": ("new", "has the shape 8 x 228 in the pretrained model"),
        "head.output": ("new", "follows a new layer"),
    }
    assert any("2 layers taken, 2 new" in one for one in caplog.messages)
    assert any("the window is 300 bp, that of" in one for one in caplog.messages)
    assert not any("hyperparameters differ" in one for one in caplog.messages)


def test_hyperparameters_that_differ_are_named(source, other_set, tmp_path, caplog):
    start_from(source, other_set, tmp_path / "run", {"hidden": 5, "dense": (4,)})
    (message,) = [one for one in caplog.messages if "hyperparameters differ" in one]
    assert message.endswith("hidden is 5, not 6; dense is (4,), not (8,)")


def test_oriented_and_other_sequences_are_named(source, tmp_path, caplog):
    caplog.set_level(logging.INFO, "danq")
    oriented = replace(planted(), oriented=True)
    start_from(source, oriented, tmp_path / "run")
    assert any("the training is on oriented sequences, that of" in m for m in caplog.messages)


def test_a_model_that_pools_takes_any_window(source, other_set, tmp_path):
    pooled = tmp_path / "pooled"
    shape = {"filters": 12, "width": 11, "pool": 10, "hidden": 6, "dense": (8,), "pooling": "mean"}
    train(planted(), out=pooled, model=ModelSettings(**shape), recipe=Recipe(**QUICK), run=CPU)
    out = start_from(pooled, longer(other_set, 300), tmp_path / "run")
    (record,) = json.loads((out / "pretrained.json").read_text())
    assert [one["origin"] for one in record["layers"]] == ["taken"] * 3 + ["tracks"]
    other = start_from(pooled, other_set, tmp_path / "other", {"pooling": "max"})
    (record,) = json.loads((other / "pretrained.json").read_text())
    assert [one["detail"] for one in record["layers"][2:]] == [
        "differs: pooling mean became max",
        "follows a new layer",
    ]


GROUPS = {
    "a": TargetGroup(loss="gaussian", tracks=1),
    "b": TargetGroup(loss="soft-bins", tracks=1, bins=4),
    "c": TargetGroup(loss="soft-bins", tracks=1, bins=4),
    "p": TargetGroup(loss="profile", tracks=1, steps=4, step_bases=5),
    "q": TargetGroup(loss="profile", tracks=1, steps=4, step_bases=5),
}


BINARY = dict.fromkeys("xb", TargetGroup(loss="binary", tracks=1))


def joint(names: str, seed: int, groups=GROUPS, **changes):
    torch.manual_seed(seed)
    shape = {"filters": 6, "width": 5, "pool": 2, "hidden": 3, "dense": (4,)} | changes
    targets = tuple(groups[name] for name in names)
    made = untrained(
        "danq-small", architecture("danq-small", **shape), tuple(names), 60, 20, targets
    )
    with torch.no_grad():
        for value in made.module.parameters():
            value.normal_(0, 0.3)
    return made


def outputs_of(made, codes, track: str) -> torch.Tensor:
    names = iter(made.tracks)
    with torch.no_grad():
        for part in parts(made.module(codes), made.spec.targets):
            for own in range(part.group.tracks):
                if next(names) == track:
                    totals = () if part.totals is None else (part.totals[:, own : own + 1],)
                    return torch.cat([part.outputs[:, own].reshape(len(codes), -1), *totals], dim=1)
    raise AssertionError(track)


@pytest.mark.parametrize(
    ("theirs", "ours", "kept"),
    [("abcpq", "cbqp", "cbqp"), ("abp", "xbyp", "bp"), ("ab", "bap", "ba"), ("pq", "aqp", "qp")],
)
def test_outputs_of_kept_tracks_are_equal_for_all_kinds_of_heads(theirs, ours, kept):
    groups = GROUPS | {"x": GROUPS["a"], "y": GROUPS["c"]}
    source, made = joint(theirs, 1, groups), joint(ours, 2, groups)
    match = match_layers(made.module, made.spec, source.module, source.spec)
    copy_layers(match, made.module, source.module)
    assert set(match.tracks) == set(kept)
    codes = torch.randint(0, 5, (7, 60), dtype=torch.uint8)
    for track in kept:
        assert torch.equal(outputs_of(made, codes, track), outputs_of(source, codes, track)), track


def test_layers_are_found_under_the_names_that_other_blocks_give_them():
    source = joint("a", 1)
    changes = {
        "step_stages": ({"channels": 4, "widths": (3,)},),
        "stages": (),
        "dense_dropout": 0.1,
    }
    made = joint("ap", 2, **changes)
    found = {
        one.name: one.origin
        for one in match_layers(made.module, made.spec, source.module, source.spec).origins
    }
    assert found["encoder"] == found["temporal.layers.0.rnn"] == "taken"
    assert {origin for name, origin in found.items() if "head" in name} == {"new"}
    dropped = joint("a", 3, dense=(4, 5), dense_dropout=0.2)
    plain = joint("a", 4, dense=(4, 5))
    match = match_layers(dropped.module, dropped.spec, plain.module, plain.spec)
    assert {one.origin for one in match.origins} == {"taken"}
    stages = joint("a", 5, stages=({"channels": 6, "width": 3},))
    match = match_layers(stages.module, stages.spec, source.module, source.spec)
    assert [one.origin for one in match.origins] == ["taken", "new", "new", "new", "new"]


def test_members_and_normalised_filters_of_both_strands_are_taken(tmp_path):
    shape = {"members": 2, "pooling": "mean-max", "both_strands": True, "encoder_norm": True}
    changes = {**shape, "dense": (), "further_widths": (), "filters": 6}
    source, made = joint("xb", 1, BINARY, **changes), joint("bx", 2, BINARY, **changes)
    match = match_layers(made.module, made.spec, source.module, source.spec)
    assert {one.origin for one in match.origins} == {"taken"}
    copy_layers(match, made.module, source.module)
    codes = torch.randint(0, 5, (7, 60), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(made.module(codes), source.module(codes).flip(1))
    for name, value in (("members", 1), ("both_strands", False), ("encoder_norm", False)):
        other = joint("bx", 3, BINARY, **(changes | {name: value}))
        match = match_layers(other.module, other.spec, source.module, source.spec)
        expected = "taken" if name == "encoder_norm" else "new"
        assert match.origins[0].origin == expected
        assert match.origins[-1].origin == "new"


@pytest.mark.parametrize("change", [{"gates": "hard"}, {"temporal": "gru"}, {"temporal": "none"}])
def test_layers_with_another_function_are_new(change):
    source, made = joint("a", 1), joint("a", 2, **change)
    match = match_layers(made.module, made.spec, source.module, source.spec)
    assert match.origins[0].origin == "taken"
    assert {one.origin for one in match.origins[1:]} == {"new"}


def test_tracks_of_another_kind_are_new_and_named(tmp_path, caplog):
    shape = {"filters": 12, "width": 8, "pool": 4, "hidden": 6, "dense": (8,)}
    first = tmp_path / "first"
    data = amount_dataset(200, peaks=True)
    train(data, out=first, model=ModelSettings(**shape), recipe=Recipe(**QUICK), run=CPU)
    renamed = replace(data, tracks=("strong", "Reb1", "adenines"))
    out = start_from(first, renamed, tmp_path / "run")
    (record,) = json.loads((out / "pretrained.json").read_text())
    assert record["tracks"] == ["adenines"]
    assert any(
        "2 tracks have the name of a track" in one and one.endswith("strong, Reb1")
        for one in caplog.messages
    )
    other = start_from(first, data, tmp_path / "other", amount_loss="gaussian")
    (record,) = json.loads((other / "pretrained.json").read_text())
    assert record["tracks"] == ["Reb1"]


def test_published_weights(other_set, tmp_path, caplog):
    shape = {"filters": 12, "width": 11, "pool": 10, "hidden": 6, "dense": (8,), "gates": "hard"}
    plan = architecture("danq", second_direction="forward", **shape)
    made = untrained("danq", plan, ("noise", "8988T"), 200, 100)
    spec = made.spec.model_copy(update={"training": {"imported_from": "DanQ_bestmodel.hdf5"}})
    save_model(tmp_path / "danq.safetensors", made.module, spec)
    out = start_from(tmp_path / "danq.safetensors", other_set, tmp_path / "run")
    assert load_model(out).spec.architecture == plan
    assert load_model(out).spec.preset == "danq"
    assert any("does not record the regions that it was trained on" in m for m in caplog.messages)


def test_configurations_name_the_model(source, other_set, tmp_path):
    shutil.copy(source / "model.safetensors", tmp_path / "ours.safetensors")
    (tmp_path / "run.toml").write_text(
        "[model]\npretrained = 'ours.safetensors'\n[recipe]\nepochs = 1\nbatch_size = 64\n"
    )
    out = tmp_path / "run"
    train(other_set, out=out, config=tmp_path / "run.toml", run=CPU)
    stored = read_config(out / "config.toml")
    assert stored.model.table["pretrained"] == str(tmp_path / "ours.safetensors")
    assert stored.model.architecture == load_model(source).spec.architecture
    train(other_set, out=tmp_path / "again", config=out / "config.toml")
    for name in ("model.safetensors", "pretrained.json"):
        assert (out / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def write_protein_model(path: Path, source: Path) -> None:
    model = load_model(source)
    arrays = {name: value.numpy() for name, value in model.module.state_dict().items()}
    arrays["encoder.weight"] = np.zeros((12, 20, 11), np.float32)
    write_sealed(path, arrays, {"danq": model.spec.model_dump_json()})


def write_vision_model(path: Path, source: Path) -> None:
    header = {"format_version": FORMAT_VERSION, "task": "pairs", "model": "siamese"}
    write_sealed(path, {"w": np.zeros(2, np.float32)}, {"danq": json.dumps(header)})


def write_truncated(path: Path, source: Path) -> None:
    content = (source / "model.safetensors").read_bytes()
    path.write_bytes(content[:-100])


def write_changed(path: Path, source: Path) -> None:
    content = bytearray((source / "model.safetensors").read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def write_damaged_record(name: str, value: Any) -> Callable[[Path, Path], None]:
    def write(path: Path, source: Path) -> None:
        model = load_model(source)
        changed = model.spec.training | {name: value}
        save_model(path, model.module, model.spec.model_copy(update={"training": changed}))

    return write


FILES = {
    "another alphabet": (write_protein_model, "'encoder.weight' has the shape"),
    "a vision model": (write_vision_model, "a model of the vision task 'pairs'"),
    "a truncated file": (write_truncated, "is truncated"),
    "a changed byte": (write_changed, "its SHA-256 checksum does not match"),
    "a checkpoint": (
        lambda path, source: shutil.copy(source / "last.ckpt", path),
        "is a checkpoint of a training, not a model. Give the run directory",
    ),
    "a configuration": (
        lambda path, source: shutil.copy(source / "config.toml", path),
        "is not a model file of danq",
    ),
    "no file": (lambda path, source: None, "no such model file or run directory"),
    "a folder without a model": (lambda path, source: path.mkdir(), "no model.safetensors in"),
    "damaged splits": (
        write_damaged_record("splits", {"lengths": {"c": 5}, "train": {"c": [[3, 9]]}}),
        "a region outside the 5 bases",
    ),
    "damaged records": (write_damaged_record("pretraining", [3]), "damaged record of the training"),
    "records that are no list": (write_damaged_record("pretraining", {}), "are not a list"),
}


@pytest.mark.parametrize("case", FILES)
def test_files_that_are_no_model_to_start_from(case, source, other_set, tmp_path):
    write, message = FILES[case]
    path, out = tmp_path / "model", tmp_path / "run"
    write(path, source)
    with pytest.raises(InputError, match=message) as caught:
        start_from(path, other_set, out)
    assert str(path) in str(caught.value)
    assert caught.value.remedy
    assert not out.exists()


SETTINGS = {
    "another preset": (
        ModelSettings("danq"),
        {},
        "shares no layer with the new model: encoder has the shape 12 x 4 x 11 in the pretrained",
    ),
    "other filters": (ModelSettings(filters=13), {}, "shares no layer"),
    "a new layer is frozen": (
        ModelSettings(temporal="gru"),
        {"freeze": "temporal"},
        "the layer temporal.rnn is new and cannot be frozen: it differs: temporal lstm became gru",
    ),
    "no temporal layer": (
        ModelSettings(temporal="none"),
        {"freeze": "temporal"},
        "there is no temporal layer to freeze",
    ),
    "motifs for taken filters": (
        ModelSettings(),
        {"initial_motifs": "MOTIFS"},
        "the filters are taken from this model",
    ),
    "a value that is not allowed": (ModelSettings(tcn_width=4, temporal="tcn"), {}, "tcn_width"),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_settings_that_contradict_the_model(case, source, other_set, tmp_path):
    model, recipe, message = SETTINGS[case]
    if "initial_motifs" in recipe:
        recipe = {"initial_motifs": str(tmp_path / "motifs.meme")}
        (tmp_path / "motifs.meme").write_text(
            "MEME version 4\n\nALPHABET= ACGT\n\nMOTIF m1\nletter-probability matrix: alength= 4 "
            "w= 2\n0.9 0.1 0 0\n0 0.9 0.1 0\n"
        )
    out = tmp_path / "run"
    with pytest.raises(InputError, match=message):
        start_from(source, other_set, out, model.table, **recipe)
    assert not out.exists()


def test_nothing_is_frozen_without_a_model(planted_set, tiny, tmp_path):
    with pytest.raises(InputError, match="freezes the encoder, and the training starts from no"):
        train(
            planted_set,
            out=tmp_path / "run",
            model=ModelSettings(**tiny),
            recipe=Recipe(freeze="encoder", **QUICK),
            run=CPU,
        )
    assert not (tmp_path / "run").exists()


def test_the_model_is_not_overwritten(source, other_set, tmp_path):
    own = tmp_path / "own"
    shutil.copytree(source, own)
    content = (own / "model.safetensors").read_bytes()
    with pytest.raises(InputError, match="is stored in the run directory"):
        train(other_set, out=own, model=ModelSettings(pretrained=own), run=CPU, overwrite=True)
    assert (own / "model.safetensors").read_bytes() == content


def test_a_loaded_model_is_refused(source):
    with pytest.raises(InputError, match="the model to start from is a Model"):
        ModelSettings(pretrained=load_model(source))  # type: ignore[arg-type]
    assert isinstance(load_model(source).spec, ModelSpec)
