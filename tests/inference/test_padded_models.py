"""Models of sequences of unequal lengths, in training and in every command."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

import danq
from danq.core import PaddedCnnRnn
from danq.datasets.build_sequences import read_sequences
from danq.errors import InputError
from danq.inference.engine.forward import predict_dataset
from danq.models import Architecture, TargetGroup, build_module, export, load_model, untrained
from danq.training.config import ModelSettings

SMALL = {"filters": 8, "width": 5, "pool": 2, "hidden": 4, "dense": (5,), "pooling": "mean"}


@pytest.fixture
def table(tmp_path):
    """Sequences of 12 to 30 bases, whose amount is the fraction of G and C."""
    rng = np.random.default_rng(0)
    sequences = ["".join(rng.choice(list("ACGT"), size)) for size in rng.integers(12, 31, 240)]
    share = [(one.count("G") + one.count("C")) / len(one) for one in sequences]
    path = tmp_path / "table.tsv"
    pl.DataFrame({"sequence": sequences, "expression": share}).write_csv(path, separator="\t")
    return path


@pytest.fixture
def trained(table, tmp_path):
    settings = danq.ModelSettings("danq-small", **SMALL)
    data = read_sequences(table)
    recipe = danq.Recipe(epochs=2, batch_size=32, lr=0.01)
    run = danq.RunSettings(device="cpu", threads=1, evaluate=False)
    danq.train(data=data, out=tmp_path / "run", model=settings, recipe=recipe, run=run)
    return load_model(tmp_path / "run", device="cpu", threads=1), data


def test_training_masks_padding_and_commands_agree(trained, table, tmp_path, caplog):
    model, data = trained
    assert model.spec.architecture.masks_padding
    assert type(model.module) is PaddedCnnRnn
    rows = np.arange(len(data))
    evaluated = predict_dataset(model.module, data, rows, model.options, model.spec.targets)
    sequences = pl.read_csv(table, separator="\t")["sequence"].to_list()
    predicted = danq.predict(model, sequences).values
    np.testing.assert_allclose(predicted, evaluated, rtol=1e-5, atol=1e-6)
    # A sequence alone, through layers without masks.
    plain = build_module(
        model.spec.architecture.model_copy(update={"masks_padding": False}),
        1,
        data.window,
        model.spec.targets,
    )
    plain.load_state_dict(model.module.state_dict())
    from danq.genome.nucleotide_codes import encode
    from danq.models.targets import track_values

    for number in (0, 5, 77):
        with torch.no_grad():
            alone = plain.eval()(torch.from_numpy(encode(sequences[number])[None]))
            value = track_values(alone, model.spec.targets).numpy()
        np.testing.assert_allclose(predicted[number], value[0], rtol=1e-4, atol=1e-5)


def test_added_unknown_bases_change_nothing(trained):
    model, _ = trained
    sequence = "ACGTTGCATGCCG"
    plain = danq.predict(model, sequence).values
    for text in ("N" + sequence, sequence + "NNNN", "NNN" + sequence + "NN"):
        np.testing.assert_allclose(danq.predict(model, text).values, plain, rtol=1e-6, atol=1e-7)
    effects = danq.mutate(model, sequence).values
    padded = danq.mutate(model, "NNN" + sequence + "NN").values
    np.testing.assert_allclose(padded[3:-2], effects, rtol=1e-4, atol=1e-6)
    assert np.isnan(padded[:3]).all()


def test_a_dataset_of_equal_lengths_has_no_masks(table, tmp_path, caplog):
    caplog.set_level(logging.INFO, "danq")
    same = tmp_path / "same.tsv"
    frame = pl.read_csv(table, separator="\t")
    frame.with_columns(pl.col("sequence").str.slice(0, 12)).unique("sequence").write_csv(
        same, separator="\t"
    )
    data = read_sequences(same)
    recipe = danq.Recipe(epochs=1, batch_size=32)
    run = danq.RunSettings(device="cpu", threads=1, evaluate=False)
    settings = danq.ModelSettings("danq-small", **SMALL)
    danq.train(data=data, out=tmp_path / "run", model=settings, recipe=recipe, run=run)
    assert not load_model(tmp_path / "run").spec.architecture.masks_padding
    assert "padding is masked" not in caplog.text
    data = read_sequences(table)
    danq.train(data=data, out=tmp_path / "masked", model=settings, recipe=recipe, run=run)
    assert "sequences have unequal lengths; their padding is masked" in caplog.text
    own = ModelSettings("danq-small", **SMALL, masks_padding=False)
    danq.train(data=data, out=tmp_path / "own", model=own, recipe=recipe, run=run)
    assert not load_model(tmp_path / "own").spec.architecture.masks_padding


@pytest.mark.parametrize("form", ["onnx", "torchscript", "torch-export"])
@pytest.mark.parametrize(
    "changes",
    [
        {"pooling": "mean"},
        {"temporal": "gru", "layers": 2, "pooling": "attention"},
        {"bidirectional": False, "pooling": "last"},
        {"further_widths": (8,), "step_stages": ({"channels": 6, "widths": (3, 4)},)},
    ],
)
def test_exported_models_mask_padding(changes, form, tmp_path):
    torch.manual_seed(1)
    small = Architecture(**SMALL | changes, masks_padding=True)
    group = TargetGroup(loss="soft-bins", tracks=1, bins=5, bin_width=0.5)
    model = untrained("test", small, ("a",), 40, 40, (group,))
    for value in model.module.parameters():
        torch.nn.init.normal_(value, std=0.3)
    done = export.export_model(model, tmp_path / "model.file", to=form)
    assert done.difference <= 1e-5


def test_profiles_have_no_masked_padding():
    group = TargetGroup(loss="profile", tracks=1, steps=4, step_bases=2)
    with pytest.raises(InputError, match="padding cannot be masked in a model of profiles"):
        build_module(Architecture(**SMALL, masks_padding=True), 1, 40, (group,))
    model = untrained("test", Architecture(**SMALL, masks_padding=True), ("a",), 40, 8)
    assert danq.predict(replace(model).with_options(device="cpu"), "ACGT").values.shape == (1, 1)
