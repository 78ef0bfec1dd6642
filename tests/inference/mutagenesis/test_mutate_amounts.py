"""Effects of substitutions on amounts equal differences of separate predictions."""

from __future__ import annotations

import json
from dataclasses import replace

import h5py
import numpy as np
import polars as pl
import pytest
import torch

from danq.amounts import AmountUnit
from danq.errors import InputError
from danq.genome.nucleotide_codes import encode, reverse_complement
from danq.inference import mutate, write_mutations
from danq.interpretation.mutate_and_plot import write_mutations_and_plot
from danq.models import TargetGroup, architecture, untrained
from danq.models.targets import track_values
from danq_cli.main import run

SEQUENCE = "ACGTTGCATGNCGATAAGTCTTAGCCTAGGCATCGATTAC"
LOG = AmountUnit(unit="reads", transform="log1p", scale=0.5)
EXTRA = {
    "gaussian": {"means": (1.0,), "deviations": (0.7,)},
    "poisson": {"means": (3.0,)},
    "soft-bins": {"bins": 6, "lowest": -1.0, "bin_width": 0.5},
    "profile": {"steps": 4, "step_bases": 2},
}


def made(*losses: str, seed: int = 0, oriented: bool = False, units=None):
    torch.manual_seed(seed)
    groups = tuple(TargetGroup(loss=loss, tracks=1, **EXTRA.get(loss, {})) for loss in losses)
    own = sum(loss != "binary" for loss in losses)
    small = architecture("danq", filters=8, width=5, pool=3, hidden=4, dense=(6,))
    names = tuple(f"t{number}" for number in range(len(losses)))
    model = untrained("danq", small, names, 40, 8, groups, units or (LOG,) * own)
    for value in model.module.parameters():
        torch.nn.init.normal_(value, std=0.4)
    model = replace(model, spec=model.spec.model_copy(update={"oriented": oriented}))
    strand = "forward" if oriented else "both"
    return model.with_options(device="cpu", threads=1, tolerance=0.0, strand=strand)


def levels(model, codes: np.ndarray, *, bits: bool) -> np.ndarray:
    """Values, or bits, of every track for windows, without danq's engines."""
    with torch.no_grad():
        outputs = model.module(torch.from_numpy(codes))
        values = track_values(outputs, model.spec.targets).numpy().astype(np.float64)
    for track, unit in enumerate(model.spec.track_units):
        one = values[:, track]
        if bits and unit is None:
            values[:, track] = np.log2(one) - np.log2(1 - one)
        elif bits:
            reads = np.expm1(one) / 0.5 if unit.transform == "log1p" else one
            values[:, track] = np.sign(reads) * np.log2(1 + np.abs(reads))
    return values


def expected(model, text: str = SEQUENCE, *, bits: bool = False) -> np.ndarray:
    codes = encode(text)
    mutants = np.repeat(codes[None], 4 * len(codes), axis=0)
    mutants[np.arange(len(mutants)), np.repeat(np.arange(len(codes)), 4)] = np.tile(
        np.arange(4), len(codes)
    )
    strands = []
    for strand in (np.asarray, reverse_complement)[: 1 if model.spec.oriented else 2]:
        known = levels(model, np.ascontiguousarray(strand(codes[None])), bits=bits)
        strands.append(levels(model, np.ascontiguousarray(strand(mutants)), bits=bits) - known)
    found = np.mean(strands, axis=0).reshape(len(codes), 4, -1)
    found[codes == 4] = np.nan
    return found


@pytest.mark.parametrize("oriented", [False, True])
@pytest.mark.parametrize("effect", ["difference", "log2fc"])
@pytest.mark.parametrize(
    "losses",
    [("gaussian",), ("poisson",), ("soft-bins",), ("profile",), ("binary", "gaussian", "profile")],
)
def test_effects_are_those_of_separate_predictions(losses, effect, oriented, as_on_a_gpu):
    model = made(*losses, oriented=oriented)
    right = expected(model, bits=effect == "log2fc")
    assert np.nanmax(np.abs(right)) > 0.01
    found = mutate(model, SEQUENCE, effect=effect)
    np.testing.assert_allclose(found.values, right, rtol=1e-4, atol=1e-5)
    as_on_a_gpu()
    whole = mutate(model, SEQUENCE, effect=effect)
    np.testing.assert_allclose(whole.values, right, rtol=1e-4, atol=1e-5)


def test_the_default_is_the_difference_and_the_header_names_the_unit(tmp_path):
    model = made("binary", "gaussian")
    found = mutate(model, SEQUENCE)
    np.testing.assert_array_equal(
        found.values, mutate(model, SEQUENCE, effect="probability").values
    )
    np.testing.assert_allclose(found.values, expected(model), rtol=1e-4, atol=1e-5)
    assert found.provenance["values"] == (
        "change in probability, mutant minus reference (peaks); "
        "change in amount, mutant minus reference (amounts)"
    )
    assert found.provenance["units"] == "t0: probability; t1: log1p(0.5 x reads)"
    bits = mutate(model, SEQUENCE, effect="logit")
    np.testing.assert_allclose(bits.values, expected(model, bits=True), rtol=1e-3, atol=1e-5)
    assert "log2 fold change (bits)" in bits.provenance["values"]
    assert bits.provenance["units of the reference"] == found.provenance["units"]
    assert "units" not in mutate(made("binary"), SEQUENCE).provenance


def test_measured_amounts(tmp_path):
    model = made("gaussian").with_options(measured=True)
    found = mutate(model, SEQUENCE)
    codes, right = encode(SEQUENCE), []
    for strand in (np.asarray, reverse_complement):
        one = codes.copy()
        one[3] = 0
        both = np.ascontiguousarray(strand(np.stack([codes, one])))
        reads = np.expm1(levels(model, both, bits=False)[:, 0]) / 0.5
        right.append(reads[1] - reads[0])
    assert found.values[3, 0, 0] == pytest.approx(np.mean(right), rel=1e-4)
    assert found.provenance["units"] == "reads"
    with pytest.raises(InputError, match="measured amounts were asked for, but every track is of"):
        mutate(made("binary").with_options(measured=True), SEQUENCE)


def test_an_ensemble_of_unlike_losses_and_pairs(tmp_path):
    models = [made("gaussian"), made("poisson", seed=1), made("soft-bins", seed=2)]
    each = np.stack([expected(model) for model in models])
    path = tmp_path / "out.h5"
    written = write_mutations(models, SEQUENCE, path, pairs="2-4")
    assert written.pairs == 27
    with h5py.File(path) as file:
        assert file.attrs["effect"] == "difference"
        assert file.attrs["format_version"] == 2
        assert json.loads(file.attrs["provenance"])["units"] == "log1p(0.5 x reads)"
        np.testing.assert_allclose(file["effects"][:], each.mean(axis=0), rtol=1e-4, atol=1e-5)
        spread = each.std(axis=0, ddof=1)
        np.testing.assert_allclose(file["spread"][:], spread, rtol=1e-3, atol=1e-5)
        position, base = file["pairs/position"][:], file["pairs/base"][:]
        pairs, reference = file["pairs/effects"][:, 0], file["windows/reference"][0, 0]
    codes = encode(SEQUENCE)
    mutants = np.repeat(codes[None], 28, axis=0)
    mutants[np.arange(27)[:, None], position] = base
    right = []
    for model in models:
        for strand in (np.asarray, reverse_complement):
            right.append(levels(model, np.ascontiguousarray(strand(mutants)), bits=False)[:, 0])
    right = np.mean(right, axis=0)
    np.testing.assert_allclose(pairs, right[:27] - right[27], rtol=1e-4, atol=1e-5)
    assert reference == pytest.approx(right[27], rel=1e-5)


def test_a_plot_names_the_unit_of_each_track(tmp_path, monkeypatch):
    from danq.interpretation import mutate_and_plot as module

    given, plot = {}, module.plot_effects
    monkeypatch.setattr(
        module, "plot_effects", lambda *args, **more: (given.update(more), plot(*args, **more))[1]
    )
    model = made("binary", "gaussian")
    out, png = tmp_path / "a.tsv", tmp_path / "a.png"
    write_mutations_and_plot(model, SEQUENCE, out, plot=png, tracks=["t1", "t0"])
    assert given["units"] == ["change in amount (log1p(0.5 x reads))", "change in probability"]
    amount, probability = given["predicted"]
    assert amount.startswith("amount ")
    assert probability.startswith("probability ")
    assert "# units: t1: log1p(0.5 x reads); t0: probability\n" in out.read_text()
    table = pl.read_csv(out, separator="\t", comment_prefix="#")
    assert table.columns[4:] == ["t1", "t0"]
    assert png.stat().st_size > 1000


@pytest.mark.parametrize(
    ("losses", "effect", "problem"),
    [
        (("gaussian",), "logit", "'logit' is of peaks, and every track is of amounts. "),
        (("profile",), "probability", "Choose 'log2fc' or 'difference'"),
        (("binary",), "log2fc", "'log2fc' is of amounts, and every track is of peaks"),
        (("binary",), "difference", "Choose 'logit' or 'probability'"),
        (("binary", "gaussian"), "bits", "effect is 'bits'. Choose 'logit' or 'probability' or"),
    ],
)
def test_an_effect_of_another_kind_is_refused(losses, effect, problem, tmp_path):
    model = made(*losses)
    with pytest.raises(InputError, match=problem):
        write_mutations(model, SEQUENCE, tmp_path / "a.tsv", effect=effect)
    assert list(tmp_path.iterdir()) == []


def test_the_kind_of_the_selected_tracks_counts():
    model = made("binary", "gaussian")
    found = mutate(model, SEQUENCE, tracks=["t0"])
    np.testing.assert_allclose(
        found.values[..., 0], expected(model, bits=True)[..., 0], rtol=1e-3, atol=1e-5
    )
    with pytest.raises(InputError, match="'log2fc' is of amounts, and every track is of peaks"):
        mutate(model, SEQUENCE, tracks=["t0"], effect="log2fc")


def test_the_command_takes_the_effects_of_amounts(tmp_path, monkeypatch, capsys):
    from danq.models import save_model

    monkeypatch.chdir(tmp_path)
    model = made("gaussian")
    save_model("m.safetensors", model.module, model.spec)
    (tmp_path / "a.fa").write_text(f">a\n{SEQUENCE}\n")
    words = ["mutate", "m.safetensors", "a.fa", "--device", "cpu", "--out"]
    assert run([*words, "a.tsv", "--effect", "log2fc"]) == 0
    assert "log2 fold change (bits), mutant over reference" in (tmp_path / "a.tsv").read_text()
    assert run([*words, "c.tsv", "--measured"]) == 0
    assert "# units: reads\n" in (tmp_path / "c.tsv").read_text()
    assert run([*words, "b.tsv", "--effect", "logit"]) == 2
    assert "every track is of amounts" in capsys.readouterr().err
    assert not (tmp_path / "b.tsv").exists()
