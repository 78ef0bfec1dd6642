from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tomli_w
import torch

from danq.errors import InputError
from danq.models import architecture
from danq.training import ModelSettings, Recipe, RunSettings, train
from danq.training.config import merge_config, read_config
from danq.training.optimizer import KerasRmsprop, learning_rate


def test_unknown_names_and_values():
    with pytest.raises(InputError, match="no recipe is named 'fast'"):
        Recipe(base="fast")
    with pytest.raises(InputError, match="lr: Input should be greater than 0"):
        Recipe(lr=-1)
    with pytest.raises(InputError, match="lrr: there is no setting"):
        Recipe(lrr=1)
    with pytest.raises(InputError, match="seed_filters: there is no setting"):
        Recipe(seed_filters="none")
    with pytest.raises(InputError, match="no preset is named 'dang'"):
        ModelSettings("dang")
    with pytest.raises(InputError, match="no recipe is named '\\[\\]'"):
        Recipe(base=[])
    with pytest.raises(InputError, match="no preset is named '\\[\\]'"):
        ModelSettings([])
    with pytest.raises(InputError, match=r"'filers' is not a hyperparameter .*filters"):
        ModelSettings("danq", filers=3)
    with pytest.raises(InputError, match="seed: Input should be greater than or equal to 0"):
        RunSettings(seed=-1)


@pytest.mark.parametrize("name", ["lr", "weight_decay", "clip"])
@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_numbers_are_finite(name, value):
    with pytest.raises(InputError, match=f"{name}: Input should be a finite number"):
        Recipe(**{name: value})


def test_zero_epochs_are_set_by_the_number_of_windows():
    recipe = merge_config(None, None, Recipe(base="paper", epochs=0), None).recipe
    assert recipe.resolved(100_000).epochs == 9
    assert recipe.resolved(10).epochs == 40
    assert recipe.resolved(10**7).epochs == 4
    assert Recipe(epochs=3).resolved(10).epochs == 3


def test_a_relative_motif_file_starts_where_it_is_named(tmp_path, monkeypatch):
    folder = tmp_path / "deep"
    folder.mkdir()
    path = folder / "run.toml"
    monkeypatch.chdir(tmp_path)

    def file(text: str, **given: str | Path) -> str:
        path.write_text(f"[recipe]\ninitial_motifs = {text}\n")
        return merge_config("deep/run.toml", None, Recipe(**given), None).recipe.initial_motifs

    assert file('"known.meme"') == str(folder / "known.meme")
    assert file('"none"', initial_motifs=Path("known.meme")) == str(tmp_path / "known.meme")
    assert file('"/known.meme"') == "/known.meme"
    assert file('"none"') == "none"
    assert file('"none"', initial_motifs="known.meme") == str(tmp_path / "known.meme")
    assert file('"known.meme"', initial_motifs="auto") == "auto"


def test_config_file(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text('[model]\npreset = "danq"\nhidden = 64\n[recipe]\nbase = "paper"\nepochs = 3\n')
    config = read_config(path)
    assert config.model.preset == "danq"
    assert config.model.architecture == architecture("danq", hidden=64)
    recipe = merge_config(config, None, Recipe(batch_size=7), None).recipe
    assert (recipe.optimizer, recipe.epochs, recipe.batch_size) == ("rmsprop", 3, 7)


def test_bad_config_files(tmp_path):
    path = tmp_path / "run.toml"
    with pytest.raises(InputError, match="no such file"):
        read_config(path)
    path.write_text("[model\n")
    with pytest.raises(InputError, match=r"run\.toml: is not valid TOML"):
        read_config(path)
    path.write_text("[modle]\npreset = 'danq'\n")
    with pytest.raises(InputError, match=r"modle.*The sections are"):
        read_config(path)
    path.write_text("[training]\nepochs = 3\n")
    with pytest.raises(InputError, match=r"earlier version .*now \[recipe\].*'base'"):
        read_config(path)
    path.write_text("[recipe]\nseed_filters = 'none'\n")
    with pytest.raises(
        InputError, match=r"run\.toml: \[recipe\]: seed_filters: there is no setting"
    ):
        read_config(path)


def test_hyperparameters_are_checked_after_merging(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text('[model]\npreset = "danq-jaspar"\ngates = "hard"\n')
    merged = merge_config(path, ModelSettings(second_direction="forward"), None, None)
    assert merged.model.architecture.second_direction == "forward"
    path.write_text('[model]\ntemporal = "tcn"\ntcn_width = 4\n')
    merged = merge_config(path, ModelSettings(temporal="gru"), None, None)
    assert merged.model.architecture.temporal == "gru"
    with pytest.raises(InputError, match="tcn_width is 4"):
        train("missing.h5", out=tmp_path / "run", config=path)
    assert not (tmp_path / "run").exists()


def test_one_cycle_rises_then_falls():
    recipe = Recipe(lr=1.0, warmup=0.25)
    rates = np.array([learning_rate(recipe, step, 101) for step in range(101)])
    assert rates[0] == pytest.approx(1 / 25)
    assert rates.max() == pytest.approx(1.0, abs=1e-3)
    assert np.argmax(rates) in (25, 26)
    assert (np.diff(rates[:25]) > 0).all()
    assert (np.diff(rates[26:]) < 0).all()
    assert rates[-1] == pytest.approx(1e-4)


def test_keras_rmsprop_by_hand():
    weight = torch.nn.Parameter(torch.tensor([2.0, -1.0]))
    optimizer = KerasRmsprop([weight], lr=0.1)
    value, square = np.array([2.0, -1.0]), np.zeros(2)
    for _ in range(3):
        optimizer.zero_grad()
        (weight**2).sum().backward()
        optimizer.step()
        gradient = 2 * value
        square = 0.9 * square + 0.1 * gradient**2
        value = value - 0.1 * gradient / np.sqrt(square + 1e-6)
    np.testing.assert_allclose(weight.detach().numpy(), value, rtol=1e-5)


def test_another_preset_or_recipe_beside_the_file_keeps_only_what_the_file_changed(tmp_path):
    path = tmp_path / "config.toml"
    hyperparameters = architecture("danq-small", hidden=96).model_dump(mode="json")
    settings = Recipe(epochs=7).model_dump(mode="json")
    path.write_text(tomli_w.dumps({"model": hyperparameters, "recipe": settings}))
    same = merge_config(path, "danq-small", "default", None)
    assert same.model.architecture == architecture("danq-small", hidden=96)
    other = merge_config(path, "danq", Recipe(base="paper", lr=0.5), None)
    assert other.model.architecture == architecture("danq", hidden=96)
    assert other.recipe == Recipe(base="paper", epochs=7, lr=0.5)


def test_run_settings_replace_only_the_fields_that_were_given(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text('[run]\nseed = 3\nprecision = "bf16"\n')
    run = merge_config(path, None, None, RunSettings(device="cpu", seed=0)).run
    assert (run.seed, run.device, run.precision) == (0, "cpu", "bf16")
