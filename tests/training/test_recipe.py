from __future__ import annotations

import numpy as np
import pytest
import tomli_w
import torch

from danq.errors import InputError
from danq.models import architecture
from danq.training.config import merged, read_config
from danq.training.optimizer import KerasRmsprop, learning_rate
from danq.training.recipe import named_recipe


def test_unknown_names_and_values():
    with pytest.raises(InputError, match="no recipe is named 'fast'"):
        named_recipe("fast")
    with pytest.raises(InputError, match="lr: Input should be greater than 0"):
        named_recipe("default", lr=-1)
    with pytest.raises(InputError, match="lrr: Extra inputs"):
        named_recipe("default", lrr=1)


@pytest.mark.parametrize("name", ["lr", "weight_decay", "clip"])
@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_numbers_are_finite(name, value):
    with pytest.raises(InputError, match=f"{name}: Input should be a finite number"):
        named_recipe("default", **{name: value})


def test_no_epochs_means_as_many_as_show_enough_windows():
    recipe = merged(None, model={}, training={"recipe": "paper", "epochs": 0}, run={}).recipe()
    assert recipe.settled(100_000).epochs == 9
    assert recipe.settled(10).epochs == 40
    assert recipe.settled(10**7).epochs == 4
    assert named_recipe("default", epochs=3).settled(10).epochs == 3


def test_a_motif_file_is_sought_where_it_is_named(tmp_path, monkeypatch):
    folder = tmp_path / "deep"
    folder.mkdir()
    path = folder / "run.toml"
    monkeypatch.chdir(tmp_path)

    def file(text: str, **said: str) -> str:
        path.write_text(f"[training]\nseed_filters = {text}\n")
        return merged("deep/run.toml", model={}, training=said, run={}).recipe().seed_filters

    assert file('"known.meme"') == str(folder / "known.meme")
    assert file('"/known.meme"') == "/known.meme"
    assert file('"none"') == "none"
    assert file('"none"', seed_filters="known.meme") == str(tmp_path / "known.meme")
    assert file('"known.meme"', seed_filters="auto") == "auto"


def test_config_file(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(
        '[model]\npreset = "danq"\nhidden = 64\n[training]\nrecipe = "paper"\nepochs = 3\n'
    )
    config = read_config(path)
    assert config.preset == "danq"
    assert config.architecture() == architecture("danq", hidden=64)
    recipe = merged(config, model={}, training={"lr": None, "batch_size": 7}, run={}).recipe()
    assert (recipe.optimizer, recipe.epochs, recipe.batch_size) == ("rmsprop", 3, 7)


def test_bad_config_files(tmp_path):
    path = tmp_path / "run.toml"
    with pytest.raises(InputError, match="cannot read it"):
        read_config(path)
    path.write_text("[model\n")
    with pytest.raises(InputError, match=r"run\.toml: not valid TOML"):
        read_config(path)
    path.write_text("[modle]\npreset = 'danq'\n")
    with pytest.raises(InputError, match=r"modle.*Known parts are"):
        read_config(path)


def test_one_cycle_climbs_then_falls():
    recipe = named_recipe("default", lr=1.0, warmup=0.25)
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
    numbers = architecture("danq-small", hidden=96).model_dump(mode="json")
    choices = named_recipe("default", epochs=7).model_dump(mode="json")
    path.write_text(tomli_w.dumps({"model": numbers, "training": choices}))
    same = merged(path, model={"preset": "danq-small"}, training={"recipe": "default"}, run={})
    assert same.architecture() == architecture("danq-small", hidden=96)
    other = merged(path, model={"preset": "danq"}, training={"recipe": "paper", "lr": 0.5}, run={})
    assert other.architecture() == architecture("danq", hidden=96)
    assert other.recipe() == named_recipe("paper", epochs=7, lr=0.5)
