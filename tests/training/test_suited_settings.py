"""The preset and the recipe that follow from a dataset."""

from __future__ import annotations

import logging
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import danq
from danq.datasets import Dataset, build_sequence_dataset
from danq.errors import InputError
from danq.genome.nucleotide_codes import decode
from danq.models import load_model
from danq.models.export import export_model
from danq.training import ModelSettings, Recipe, RunConfig, RunSettings, train
from danq.training.suited_settings import suited
from tests.amount_dataset import amount_dataset

CPU = RunSettings(threads=1, device="cpu", precision="fp32", quiet=True)
TINY: dict[str, Any] = {"filters": 8, "hidden": 4, "members": 2}


def sequences(folder: Path, rows: int = 400) -> Path:
    """A dataset of sequences whose amount is their number of TATA and of its opposite strand."""
    codes = np.random.default_rng(3).integers(0, 4, (rows, 60)).astype(np.uint8)
    texts = [decode(row) for row in codes]
    lines = [f"{text}\t{text.count('TA') + 0.5 * text.count('CG')}\n" for text in texts]
    table = folder / "table.tsv"
    table.write_text("sequence\texpression\n" + "".join(lines))
    build_sequence_dataset(folder / "sequences.h5", table)
    return folder / "sequences.h5"


def names(settings: RunConfig, dataset: Dataset) -> tuple[str, str]:
    found = suited(settings, dataset)
    assert suited(found, dataset) == found
    return found.model.preset, found.recipe.base


def test_the_preset_and_the_recipe_follow_from_the_data(tmp_path, planted_set):
    table = Dataset.open(sequences(tmp_path))
    assert names(RunConfig(), table) == ("danq-mpra", "mpra")
    assert names(RunConfig(), planted_set) == ("danq-small", "default")
    assert names(RunConfig(), amount_dataset(300)) == ("danq-small", "default")
    named = RunConfig(model=ModelSettings("danq-mpra"))
    assert names(named, planted_set) == ("danq-mpra", "mpra")
    named = RunConfig(model=ModelSettings("dream-rnn"))
    assert names(named, table) == ("dream-rnn", "default")
    named = RunConfig(recipe=Recipe(base="paper"))
    assert names(named, table) == ("danq-mpra", "paper")


def test_settings_that_were_given_are_kept(tmp_path):
    table = Dataset.open(sequences(tmp_path))
    given = RunConfig(model=ModelSettings(hidden=7), recipe=Recipe(lr=0.5))
    found = suited(given, table)
    assert (found.model.architecture.hidden, found.model.architecture.members) == (7, 5)
    assert (found.recipe.lr, found.recipe.batch_size) == (0.5, 64)
    with pytest.raises(InputError, match=r"5 members exclude dense; members = 1 allows"):
        _ = suited(RunConfig(model=ModelSettings(dense=(3,))), table).model.architecture


def test_measured_sequences_train_with_their_own_settings(tmp_path, caplog):
    data = sequences(tmp_path)
    recipe = Recipe(epochs=6, averaging=0.9, lr=2e-2)
    run, model = tmp_path / "run", ModelSettings(**TINY)
    with caplog.at_level(logging.INFO, "danq"):
        result = train(data, out=run, model=model, recipe=recipe, run=CPU)
    assert "the model is danq-mpra and the recipe mpra" in caplog.text
    assert result.history[-1]["valid_pearson"] > 0.5
    config = tomllib.loads((run / "config.toml").read_text())
    assert config["model"]["preset"] == "danq-mpra"
    assert (config["recipe"]["base"], config["recipe"]["max_shift"]) == ("mpra", 2)  # of 60 bases
    again = train(out=run, run=CPU, resume=True)
    assert again.epochs == 6
    model = load_model(run, device="cpu")
    assert model.module.temporal.out_features == 2 * 2 * 4
    dataset = Dataset.open(data)
    rows = dataset.indices("test")
    found = danq.predict(model, dataset.codes(rows)).values[:, 0]
    measured = dataset.target_values(rows)[:, 0]
    assert np.corrcoef(found, measured)[0, 1] > 0.5


@pytest.mark.parametrize("to", ["onnx", "torchscript", "torch-export"])
def test_members_are_exported(tmp_path, to):
    data = sequences(tmp_path)
    train(data, out=tmp_path / "run", model=ModelSettings(**TINY), recipe=Recipe(epochs=1), run=CPU)
    found = export_model(tmp_path / "run", tmp_path / "exported", to=to)
    assert found.difference < 1e-4


def test_padding_is_masked_unless_the_recipe_moves_sequences(tmp_path):
    texts = [decode(row) for row in np.random.default_rng(0).integers(0, 4, (90, 60))]
    lines = [f"{text[: 50 + row % 11]}\t{row % 7 + 0.5}\n" for row, text in enumerate(texts)]
    (tmp_path / "table.tsv").write_text("sequence\texpression\n" + "".join(lines))
    build_sequence_dataset(tmp_path / "padded.h5", tmp_path / "table.tsv")
    for shift in (0, 4):
        train(
            tmp_path / "padded.h5",
            out=tmp_path / f"run{shift}",
            model=ModelSettings(**TINY),
            recipe=Recipe(epochs=1, max_shift=shift),
            run=CPU,
        )
        spec = load_model(tmp_path / f"run{shift}").spec
        assert spec.architecture.masks_padding == (shift == 0)
