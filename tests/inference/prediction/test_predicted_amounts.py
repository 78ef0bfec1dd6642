"""Predictions of models of amounts."""

from __future__ import annotations

import json

import h5py
import numpy as np
import polars as pl
import pytest
import torch

from danq.amounts import AmountUnit
from danq.errors import InputError
from danq.genome.nucleotide_codes import encode, reverse_complement
from danq.inference import Tiles, predict, write_predictions
from danq.inference.writers.hdf5_storage import Hdf5Storage
from danq.models import TargetGroup, architecture, load_model, save_model, untrained
from danq.models.targets import track_values

UNITS = (AmountUnit(unit="reads", transform="log1p", scale=0.5), AmountUnit(unit="reads"))


@pytest.fixture
def make_model(tmp_path):
    def make(*losses: str, oriented: bool = False, seed: int = 0, units=None):
        torch.manual_seed(seed)
        extra = {
            "soft-bins": {"bins": 6, "lowest": -1.0, "bin_width": 0.5},
            "profile": {"steps": 4, "step_bases": 2},
        }
        groups = tuple(TargetGroup(loss=loss, tracks=1, **extra.get(loss, {})) for loss in losses)
        names = tuple(f"t{number}" for number in range(len(losses)))
        small = architecture("danq", filters=8, width=5, pool=3, hidden=4, dense=(6,))
        own = sum(loss != "binary" for loss in losses)
        model = untrained("danq", small, names, 40, 8, groups, units or UNITS[:own])
        for value in model.module.parameters():
            torch.nn.init.normal_(value, std=0.4)
        spec = model.spec.model_copy(update={"oriented": oriented})
        path = tmp_path / f"model{seed}.safetensors"
        save_model(path, model.module, spec)
        return load_model(path, device="cpu", threads=1)

    return make


def expected(model, text: str, strands: int = 2) -> np.ndarray:
    codes = encode(text)[None]
    both = [codes, np.ascontiguousarray(reverse_complement(codes))][:strands]
    with torch.no_grad():
        each = [
            track_values(model.module(torch.from_numpy(one)), model.spec.targets).numpy()
            for one in both
        ]
    return np.mean(each, axis=0)[0]


SEQUENCE = "ACGTTGCATGCCGATAAGTCTTAGCCTAGGCATCGATTAC"


@pytest.mark.parametrize(
    "losses",
    [("gaussian",), ("poisson",), ("soft-bins",), ("profile",), ("binary", "gaussian", "profile")],
)
def test_values_are_those_of_the_losses_averaged_over_strands(make_model, losses):
    model = make_model(*losses)
    found = predict(model, SEQUENCE)
    np.testing.assert_allclose(found.values[0], expected(model, SEQUENCE), rtol=1e-5)
    assert found.provenance["values"] == (
        "probabilities of peaks and amounts" if "binary" in losses else "amounts"
    )


def test_oriented_models_use_the_given_strand_alone(make_model):
    model = make_model("gaussian", oriented=True)
    found = predict(model, SEQUENCE)
    np.testing.assert_allclose(found.values[0], expected(model, SEQUENCE, 1), rtol=1e-5)
    assert found.provenance["strand"] == "forward"


def test_transforms_are_undone_on_request(make_model):
    model = make_model("binary", "gaussian", "poisson")
    plain = predict(model, SEQUENCE)
    assert plain.provenance["units"] == "t0: probability; t1: log1p(0.5 x reads); t2: reads"
    undone = predict(model.with_options(measured=True), SEQUENCE)
    assert undone.provenance["units"] == "t0: probability; t1: reads; t2: reads"
    assert undone.values[0, 0] == plain.values[0, 0]
    assert undone.values[0, 1] == UNITS[0].undo(plain.values[0, 1])
    assert undone.values[0, 2] == plain.values[0, 2]
    only = predict(model.with_options(measured=True), SEQUENCE, tracks=["t2", "t1"])
    np.testing.assert_array_equal(only.values[0], undone.values[0, [2, 1]])


def test_an_ensemble_averages_measured_amounts(make_model):
    models = [make_model("gaussian", seed=seed) for seed in (1, 2)]
    each = [predict(one.with_options(measured=True), SEQUENCE).values[0, 0] for one in models]
    found = predict([one.with_options(measured=True) for one in models], SEQUENCE)
    np.testing.assert_allclose(found.values[0], [np.mean(each), np.std(each, ddof=1)], rtol=1e-5)
    assert found.provenance["values"].startswith("mean amounts over 2 models")


@pytest.mark.parametrize(("measured", "unit"), [(False, "log1p(0.5 x reads)"), (True, "reads")])
def test_every_format_names_the_units_and_a_bigwig_equals_the_table(
    make_model, tmp_path, measured, unit
):
    bigwig = pytest.importorskip("pyBigWig")
    model = make_model("binary", "gaussian").with_options(measured=measured)
    genome = tmp_path / "genome.fa"
    letters = np.random.default_rng(0).choice(list("ACGT"), 300)
    genome.write_text(">chrI\n" + "".join(letters) + "\n")
    units = f"t0: probability; t1: {unit}"
    for name in ("a.tsv", "a.h5", "a.parquet", "wigs/"):
        write_predictions(model, Tiles(genome, 8), str(tmp_path / name))
    assert f"# units: {units}\n" in (tmp_path / "a.tsv").read_text()
    table = pl.read_csv(tmp_path / "a.tsv", separator="\t", comment_prefix="#")
    with h5py.File(tmp_path / "a.h5") as file:
        assert json.loads(file.attrs["provenance"])["units"] == units
        np.testing.assert_array_equal(
            file["predictions"][:], table.select("t0", "t1").to_numpy().astype(np.float32)
        )
    assert units in str(pl.read_parquet_metadata(tmp_path / "a.parquet"))
    assert json.loads((tmp_path / "wigs/danq.json").read_text())["provenance"]["units"] == units
    with bigwig.open(str(tmp_path / "wigs/t1.bw")) as file:
        found = [value for _, _, value in file.intervals("chrI")]
    np.testing.assert_array_equal(
        np.array(found, np.float32), table["t1"].to_numpy().astype(np.float32)
    )


def test_amounts_are_refused_where_they_do_not_fit(make_model, tmp_path):
    model = make_model("binary", "gaussian")
    with pytest.raises(InputError, match="deepsea holds probabilities and has no place for"):
        write_predictions(model, SEQUENCE, tmp_path / "a.h5", format="deepsea")
    half = Hdf5Storage(dtype="float16")
    with pytest.raises(InputError, match="largest number of float16"):
        write_predictions(model, SEQUENCE, tmp_path / "a.h5", storage=half)
    with pytest.raises(InputError, match="measured amounts were asked for, but every track"):
        predict(model.with_options(measured=True), SEQUENCE, tracks=["t0"])
    assert not (tmp_path / "a.h5").exists()
    write_predictions(model, SEQUENCE, tmp_path / "b.h5", format="deepsea", tracks=["t0"])


def test_models_of_other_quantities_do_not_predict_together(make_model):
    first = make_model("gaussian", seed=1)
    for other, what in (
        (make_model("binary", seed=2), "the track 't0' is of amounts and of peaks"),
        (make_model("gaussian", seed=3, units=UNITS[1:]), "the unit of the track 't0' is log1p"),
        (make_model("gaussian", seed=4, oriented=True), "only one of them was trained on oriented"),
    ):
        with pytest.raises(InputError, match=what):
            predict([first, other], SEQUENCE)
    assert predict([first, make_model("poisson", seed=5)], SEQUENCE).values.shape == (1, 2)
