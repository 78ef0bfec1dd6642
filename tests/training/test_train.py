from __future__ import annotations

import csv
import math
import re
import tomllib
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import danq
import danq.training.checkpoint as checkpoint_module
import danq.training.fit as fit_module
from danq.errors import InputError
from danq.inference.engine.forward import predict_dataset
from danq.inference.engine.split_model import why_not_incremental
from danq.interpretation import find_motifs
from danq.models import build_module, load_model, save_model
from danq.models.run_options import RunOptions
from danq.provenance import Provenance
from danq.training import (
    ModelSettings,
    Recipe,
    RunSettings,
    TrainingDiverged,
    read_config,
    train,
)
from danq.training.checkpoint import Checkpoints, TrainingState
from danq.training.progress import TrainingProgress
from danq.training.window_problem import WindowProblem
from tests.reseal import reseal

CPU = RunSettings(threads=1, device="cpu", precision="fp32", evaluate=False)


def settings(tiny, run=CPU, **changes):
    recipe = {"epochs": 2, "batch_size": 32, "initial_motifs": "none"} | changes
    return {"model": ModelSettings(**tiny), "recipe": Recipe(**recipe), "run": run}


def cpu(**changes):
    return CPU.replaced(RunSettings(**changes))


def test_learns_a_planted_motif_and_no_noise(planted_set, tmp_path, caplog):
    caplog.set_level("INFO", "danq")
    result = train(
        planted_set,
        out=tmp_path / "run",
        model=ModelSettings(filters=32, width=11, pool=10, hidden=8, dense=(16,)),
        recipe=Recipe(epochs=12, batch_size=32, lr=1e-2, averaging=0.9),
        run=cpu(evaluate=True),
    )
    model = load_model(tmp_path / "run")
    test = planted_set.indices("test")
    scores = predict_dataset(model.module, planted_set, test, RunOptions("cpu", "fp32"))
    from sklearn.metrics import roc_auc_score

    labels = planted_set.labels(test)
    assert roc_auc_score(labels[:, 0], scores[:, 0]) > 0.9
    assert roc_auc_score(labels[:, 1], scores[:, 1]) < 0.75
    assert result.epochs == 12
    assert (tmp_path / "run" / "initial_motifs.meme").read_text().startswith("MEME version")
    assert (tmp_path / "run" / "evaluation").is_dir()
    assert "test split: mean AUPR 0." in caplog.text
    assert model.spec.data_sha256 == planted_set.sha256


@pytest.mark.parametrize(
    ("temporal", "pooling"), [("tcn", "attention"), ("gru", "flatten"), ("tcn", "flatten")]
)
def test_other_temporal_layers_learn_from_a_configuration(planted_set, tmp_path, temporal, pooling):
    config = tmp_path / "run.toml"
    config.write_text(
        f'[model]\ntemporal = "{temporal}"\npooling = "{pooling}"\n'
        "filters = 32\nwidth = 11\npool = 10\nhidden = 8\ndense = [16]\n"
        '[recipe]\nepochs = 6\nbatch_size = 32\nlr = 1e-2\ninitial_motifs = "auto"\n'
    )
    run = tmp_path / "run"
    train(planted_set, out=run, config=config, run=CPU)
    model = load_model(run)
    assert model.spec.architecture.temporal == temporal
    assert tomllib.loads((run / "config.toml").read_text())["model"]["pooling"] == pooling
    test = planted_set.indices("test")
    scores = predict_dataset(model.module, planted_set, test, RunOptions("cpu", "fp32"))
    from sklearn.metrics import roc_auc_score

    assert roc_auc_score(planted_set.labels(test)[:, 0], scores[:, 0]) > 0.85


def test_filters_side_by_side_and_step_stages_learn_from_a_configuration(planted_set, tmp_path):
    config = tmp_path / "run.toml"
    config.write_text(
        '[model]\npreset = "dream-rnn"\nfilters = 24\nwidth = 9\nfurther_widths = [11]\npool = 10\n'
        "hidden = 8\nstep_stages = [{channels = 12, widths = [3, 5], dropout = 0.1}]\n"
        'pooling = "max"\n[recipe]\nepochs = 8\nbatch_size = 32\nlr = 1e-2\n'
        'initial_motifs = "auto"\n'
    )
    run = tmp_path / "run"
    train(planted_set, out=run, config=config, run=CPU)
    model = load_model(run)
    assert model.spec.architecture.widths == (9, 11)
    stored = tomllib.loads((run / "config.toml").read_text())["model"]
    assert stored["step_stages"] == [{"channels": 12, "widths": [3, 5], "dropout": 0.1}]
    test = planted_set.indices("test")
    scores = predict_dataset(model.module, planted_set, test, RunOptions("cpu", "fp32"))
    from sklearn.metrics import roc_auc_score

    assert roc_auc_score(planted_set.labels(test)[:, 0], scores[:, 0]) > 0.85
    mutated = danq.mutate(model, planted_set.codes(test[:1]))
    assert np.isfinite(mutated.values).all()
    assert why_not_incremental(model.module) is not None
    # The motifs are those of the filters of both widths.
    sites = find_motifs(model, planted_set).sites
    assert sites.counts.shape == (24, 11, 4)
    assert sites.widths.tolist() == [9] * 12 + [11] * 12


def test_run_directory(planted_set, tiny, tmp_path):
    run = tmp_path / "run"
    result = train(planted_set, out=run, **settings(tiny))
    names = {p.name for p in run.iterdir()}
    assert {"model.safetensors", "last.ckpt", "config.toml", "metrics.csv", "log.txt"} <= names
    assert not [name for name in names if name.startswith(".")]
    rows = list(csv.DictReader((run / "metrics.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert "epoch 2: train loss" in (run / "log.txt").read_text()
    assert 0 < float(rows[1]["valid_aupr"]) <= 1
    config = tomllib.loads((run / "config.toml").read_text())
    assert config["model"]["hidden"] == 6
    assert config["recipe"]["epochs"] == 2
    assert read_config(run / "config.toml").recipe.batch_size == 32
    best = max(rows, key=lambda row: float(row["valid_aupr"]))
    assert result.best_epoch == int(best["epoch"])
    assert load_model(run).spec.training["epoch"] == result.best_epoch


def test_weights_depend_on_the_seed_alone(planted_set, tiny, tmp_path):
    def weights(name, seed):
        train(planted_set, out=tmp_path / name, **settings(tiny, cpu(seed=seed)))
        return (tmp_path / name / "model.safetensors").read_bytes()

    first = weights("a", 1)
    assert weights("b", 1) == first
    assert weights("c", 2) != first


def test_the_best_model_is_scaled_once(planted_set, tiny, tmp_path, caplog):
    caplog.set_level("INFO", "danq")
    run = tmp_path / "run"
    chosen = settings(tiny, epochs=8, lr=1e-2, averaging=0.5)
    train(planted_set, out=run, **chosen)
    spec = load_model(run).spec
    facts = spec.training
    apart = abs(math.log(facts["fitted_temperature"]))
    error = facts["standard_error_of_log_temperature"]
    assert abs(math.log(spec.temperature)) == pytest.approx(max(0.0, apart - error), abs=1e-12)
    assert facts["scaled_valid_loss"] <= facts["valid_loss"] + 1e-7
    assert f"temperature {spec.temperature:.4g} (fitted" in caplog.text
    # A run that was killed before it wrote the temperature writes the same one when it resumes.
    finished = (run / "model.safetensors").read_bytes()
    module = build_module(spec.architecture, 2, 200)
    module.load_state_dict(load_file(run / "model.safetensors"))
    names = (
        "fitted_temperature",
        "standard_error_of_log_temperature",
        "scaled_valid_loss",
        "unscaled_sha256",
    )
    kept = {name: value for name, value in facts.items() if name not in names}
    unscaled = spec.model_copy(update={"temperature": None, "training": kept})
    before = save_model(run / "model.safetensors", module, unscaled)
    assert before == facts["unscaled_sha256"]
    train(planted_set, out=run, **chosen, resume=True)
    assert (run / "model.safetensors").read_bytes() == finished


class Killed(Exception):
    pass


@pytest.mark.parametrize("recipe", ["default", "paper"])
@pytest.mark.parametrize("kill_at", [1, 13, 19, 20, 37])
def test_resumed_equals_uninterrupted(planted_set, tiny, tmp_path, monkeypatch, recipe, kill_at):
    choices = settings(tiny, cpu(checkpoint_steps=5), base=recipe)
    train(planted_set, out=tmp_path / "whole", **choices)
    step = fit_module.Fit._step

    def dies(self, codes, labels):
        if self.progress.step == kill_at:
            raise Killed
        return step(self, codes, labels)

    monkeypatch.setattr(fit_module.Fit, "_step", dies)
    with pytest.raises(Killed):
        train(planted_set, out=tmp_path / "cut", **choices)
    monkeypatch.undo()
    train(planted_set, out=tmp_path / "cut", resume=True, **choices)
    for name in ("model.safetensors", "metrics.csv"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_resume_needs_only_the_run_directory(planted_set, tiny, tmp_path, monkeypatch):
    data = tmp_path / "data.h5"
    planted_set.save(data)
    train(data, out=tmp_path / "whole", **settings(tiny, cpu(seed=3)))
    monkeypatch.setattr(fit_module.Fit, "_step", lambda *_: (_ for _ in ()).throw(Killed))
    with pytest.raises(Killed):
        train(data, out=tmp_path / "cut", **settings(tiny, cpu(seed=3)))
    monkeypatch.undo()
    train(out=tmp_path / "cut", resume=True)
    cut, whole = (tmp_path / name / "model.safetensors" for name in ("cut", "whole"))
    assert cut.read_bytes() == whole.read_bytes()


def test_resume_of_a_finished_run_changes_nothing(planted_set, tiny, tmp_path, caplog):
    train(planted_set, out=tmp_path / "run", **settings(tiny))
    before = (tmp_path / "run" / "model.safetensors").read_bytes()
    caplog.set_level("INFO", "danq")
    caplog.clear()
    result = train(planted_set, out=tmp_path / "run", resume=True, **settings(tiny))
    assert "the training is finished; no epoch remains" in caplog.text
    assert "resuming at epoch" not in caplog.text
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == before
    assert result.epochs == 2


def test_resume_with_another_recipe_is_refused(planted_set, tiny, tmp_path):
    data, run = tmp_path / "d.h5", tmp_path / "run"
    planted_set.save(data)
    train(data, out=run, **settings(tiny))
    before = (run / "config.toml").read_bytes()
    wider = {**tiny, "filters": 13}
    for given, change in (
        (settings(tiny, lr=0.5), "recipe lr: 0.004; now it is 0.5"),
        (settings(wider), "model filters: 12; now it is 13"),
        (settings(tiny, cpu(seed=3)), "run seed: 0; now it is 3"),
    ):
        with pytest.raises(InputError) as caught:
            train(data, out=run, resume=True, **given)
        assert caught.value.problem == f"the run began with {change}"
        assert caught.value.file == str(run / "last.ckpt")
        assert str(caught.value).endswith("(see its config.toml), or overwrite it.")
    replace(planted_set, split=planted_set.split[::-1].copy()).save(data, overwrite=True)
    with pytest.raises(InputError) as caught:
        train(data, out=run, resume=True, **settings(tiny))
    assert caught.value.problem == f"{data} is not the dataset that the run began with"
    assert (run / "config.toml").read_bytes() == before


def test_a_checkpoint_of_an_older_format_is_refused(planted_set, tiny, tmp_path):
    train(planted_set, out=tmp_path / "run", **settings(tiny, epochs=1))
    path = tmp_path / "run" / "last.ckpt"
    save_file(load_file(path), path, {"identity": "12ab"})
    with pytest.raises(InputError, match=r"last\.ckpt: checkpoint format version 1, "):
        train(planted_set, out=tmp_path / "run", resume=True, **settings(tiny, epochs=1))


def test_damaged_checkpoint(planted_set, tiny, tmp_path):
    train(planted_set, out=tmp_path / "run", **settings(tiny))
    path = tmp_path / "run" / "last.ckpt"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"last\.ckpt: is damaged: it has "):
        train(planted_set, out=tmp_path / "run", resume=True, **settings(tiny))


def test_existing_directory_is_refused_unless_overwritten(planted_set, tiny, tmp_path):
    run = tmp_path / "run"
    train(planted_set, out=run, **settings(tiny))
    with pytest.raises(InputError, match="exists already and is not empty"):
        train(planted_set, out=run, **settings(tiny))
    train(planted_set, out=run, overwrite=True, **settings(tiny, epochs=1))
    assert len((run / "metrics.csv").read_text().splitlines()) == 2
    foreign = tmp_path / "photos"
    foreign.mkdir()
    (foreign / "cat.png").write_text("")
    with pytest.raises(InputError, match="holds no run of danq"):
        train(planted_set, out=foreign, overwrite=True, **settings(tiny))
    assert (foreign / "cat.png").exists()


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"identity": "[]", "progress": "{}"},
        {"identity": "{}", "progress": "{}"},
        {"identity": "{", "progress": "{}"},
        {"identity": '{"settings": [], "inputs": []}', "progress": "{}"},
        {"identity": '{"settings": {}, "inputs": {}}'},
        {"identity": '{"settings": {}, "inputs": {}}', "progress": '{"steps": 1}'},
    ],
)
def test_a_damaged_checkpoint_header_is_refused(tmp_path, header):
    module = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(module.parameters())
    state = TrainingState(module, None, optimizer, TrainingProgress())
    checkpoints = Checkpoints(tmp_path, Provenance())
    checkpoints.save(state)
    checkpoints.restore(state)

    def change(whole, data):
        kept = {name: whole["__metadata__"][name] for name in ("sha256", "format_version")}
        whole["__metadata__"] = kept | {"moments": "[]"} | header

    reseal(tmp_path / "last.ckpt", change)
    with pytest.raises(InputError, match=r"last\.ckpt: damaged checkpoint header"):
        checkpoints.restore(state)


def test_nan_loss_stops_reports_the_step_and_keeps_the_checkpoint(
    planted_set, tiny, tmp_path, monkeypatch
):
    step = fit_module.Fit._step

    def corrupted(self, codes, labels):
        if self.progress.step == 17:
            with torch.no_grad():
                self.plain.head.output.bias.fill_(float("nan"))
        return step(self, codes, labels)

    monkeypatch.setattr(fit_module.Fit, "_step", corrupted)
    choices = settings(tiny, cpu(checkpoint_steps=5))
    with pytest.raises(TrainingDiverged, match=r"not finite at step 18 \(epoch 1\)"):
        train(planted_set, out=tmp_path / "run", **choices)
    monkeypatch.undo()
    assert "not finite at step 18" in (tmp_path / "run" / "log.txt").read_text()
    train(planted_set, out=tmp_path / "run", resume=True, **choices)
    train(planted_set, out=tmp_path / "whole", **choices)
    whole = (tmp_path / "whole" / "model.safetensors").read_bytes()
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == whole


def test_patience_stops_early(planted_set, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(
        WindowProblem, "validate", lambda *_: {"loss": 1.0, "aupr": 0.5, "auroc": 0.5}
    )
    result = train(planted_set, out=tmp_path / "run", **settings(tiny, epochs=9, patience=2))
    assert result.epochs == 3
    assert result.best_epoch == 1


def test_disk_full_at_a_checkpoint(planted_set, tiny, tmp_path, monkeypatch):
    train(planted_set, out=tmp_path / "run", **settings(tiny, epochs=1))
    before = (tmp_path / "run" / "last.ckpt").read_bytes()

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint_module, "write_sealed", full)
    module = load_model(tmp_path / "run").module
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    with pytest.raises(InputError, match="No space left"):
        Checkpoints(tmp_path / "run", Provenance()).save(
            TrainingState(module, None, optimizer, TrainingProgress())
        )
    assert (tmp_path / "run" / "last.ckpt").read_bytes() == before


def test_nothing_to_train_on(tmp_path):
    with pytest.raises(InputError, match=r"nothing to train on.*a genome with tracks or signals"):
        train(out=tmp_path / "run")
    message = f"{tmp_path / 'run'}: there is no run to resume, and nothing to train on. Check the"
    with pytest.raises(InputError, match=re.escape(message)):
        train(out=tmp_path / "run", resume=True)
    assert not (tmp_path / "run").exists()


def test_split_without_positives(planted_set, tiny, tmp_path):
    from dataclasses import replace

    labels = planted_set.packed.copy()
    labels[planted_set.split == 1] = 0
    with pytest.raises(InputError, match="the valid split has 150 windows, none is positive"):
        train(replace(planted_set, packed=labels), out=tmp_path / "run", **settings(tiny))


def test_batches_of_a_device_train_to_the_same_weights(planted_set, tiny, tmp_path, monkeypatch):
    from danq.datasets.batches import Batches
    from danq.training.device_batches import DeviceBatches

    train(planted_set, out=tmp_path / "plain", **settings(tiny, max_shift=3))

    def on_device(self, seed, device):
        batches = Batches(
            self.dataset,
            self.dataset.indices("train"),
            self.recipe.batch_size,
            shuffle=True,
            reverse_complement=True,
            max_shift=3,
            seed=seed,
        )
        return DeviceBatches(batches, device)

    monkeypatch.setattr(WindowProblem, "batches", on_device)
    train(planted_set, out=tmp_path / "device", **settings(tiny, max_shift=3))
    plain, device = (tmp_path / name / "model.safetensors" for name in ("plain", "device"))
    assert device.read_bytes() == plain.read_bytes()


@pytest.mark.parametrize(("world", "rows"), [(1, 32), (3, 11)])
def test_a_device_knows_the_largest_batch_before_the_first(
    planted_set, tiny, tmp_path, monkeypatch, world, rows
):
    """Otherwise, the last bits of a run that is resumed at a smaller batch would differ."""
    known = []

    def watched(module, device, precision, *, rows):
        known.append((device.type, precision, rows))
        return module

    monkeypatch.setattr(fit_module, "accelerate_training", watched)
    monkeypatch.setattr(fit_module.Fabric, "world_size", world)
    choices = settings(tiny)
    problem = WindowProblem(planted_set, choices["recipe"])
    module = build_module(choices["model"].architecture, 2, planted_set.window)
    checkpoints = Checkpoints(tmp_path, Provenance())
    fabric = fit_module.Fabric(accelerator="cpu", devices=1)
    fit_module.Fit(module, problem, choices["recipe"], fabric, CPU, checkpoints)
    assert known == [("cpu", "fp32", rows)]
