"""Effects of variants on amounts equal differences of separate predictions of both windows."""

from __future__ import annotations

import json
import logging

import h5py
import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from danq.amounts import AmountUnit
from danq.errors import InputError
from danq.genome.nucleotide_codes import encode, reverse_complement
from danq.inference import score_variants, write_background, write_variant_scores
from danq.inference.variants.background_file import read_background
from danq_cli.main import run
from tests.inference.mutagenesis.test_mutate_amounts import levels, made
from tests.one_contig import random_bases, substitutions, write_contig

TEXT = random_bases(300)
WINDOW, CENTER = 40, 19
READS = AmountUnit(unit="reads", transform="log1p", scale=0.5)
PLAIN = AmountUnit(unit="reads")
LOGARITHM = AmountUnit(unit="log2 YFP")
MIXED = ("binary", "gaussian", "profile")


@pytest.fixture
def fasta(tmp_path):
    return write_contig(tmp_path / "genome.fa", TEXT)


def window(text: str, at: int) -> str:
    """The window of a sequence with its 0-based position ``at`` at the center."""
    first = at - CENTER
    return "".join(text[i] if 0 <= i < len(text) else "N" for i in range(first, first + WINDOW))


def expected(model, variant, *, bits: bool) -> np.ndarray:
    """``(2, K)`` levels of both alleles, means over strands."""
    _, pos, ref, alt = variant
    assert TEXT[pos - 1 : pos - 1 + len(ref)] == ref
    other = TEXT[: pos - 1] + alt + TEXT[pos - 1 + len(ref) :]
    codes = np.stack([encode(window(text, pos - 1)) for text in (TEXT, other)])
    strands = [codes, np.ascontiguousarray(reverse_complement(codes))]
    each = [levels(model, one, bits=bits) for one in strands[: 1 if model.spec.oriented else 2]]
    return np.mean(each, axis=0)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([("gaussian",), ("poisson",), ("soft-bins",), ("profile",), MIXED]),
    st.booleans(),
    st.sampled_from([PLAIN, READS]),
    st.lists(
        st.tuples(st.integers(2, 290), st.text("ACGT", min_size=1, max_size=4)),
        min_size=1,
        max_size=8,
    ),
    st.integers(0, 99),
)
@example(("poisson",), False, READS, [(25, "A")], 43)  # amounts above the largest float32
def test_effects_are_those_of_separate_predictions(losses, oriented, unit, alleles, seed):
    own = sum(loss != "binary" for loss in losses)
    model = made(*losses, seed=seed, oriented=oriented, units=(unit,) * own)
    variants = []
    for pos, alt in alleles:
        ref = TEXT[pos - 1 : pos - 1 + len(alt)]
        if ref[0] == alt[0]:  # positions are those of the first base that differs
            alt = "ACGT"["ACGT".index(alt[0]) - 1] + alt[1:]
        variants.append(("chr1", pos, ref, alt))
    table = score_variants(model, variants, {"chr1": TEXT}).to_polars()
    assert table.height == len(variants)
    names = {"peaks": "logit", "amounts": "log2fc"}
    for row, variant in enumerate(variants):
        value, bits = (expected(model, variant, bits=each) for each in (False, True))
        for number, (track, kind) in enumerate(zip(model.tracks, model.spec.kinds, strict=True)):
            for score, right, size in (
                ("ref", value[0, number], value),
                ("alt", value[1, number], value),
                ("diff", value[1, number] - value[0, number], value),
                (names[kind], bits[1, number] - bits[0, number], bits),
            ):
                largest = max(1.0, float(np.abs(size).max()))
                found = table[f"{track}_{score}"][row]
                assert found == pytest.approx(right, rel=1e-5, abs=1e-5 * largest)


def test_indels_have_the_effects_of_their_windows(fasta):
    model = made("poisson", "soft-bins", units=(PLAIN, PLAIN))
    variants = [("chr1", 100, TEXT[99], TEXT[99] + "CGT"), ("chr1", 150, TEXT[149:153], TEXT[149])]
    table = score_variants(model, variants, fasta).to_polars()
    for row, variant in enumerate(variants):
        assert "moved" not in table["flags"][row]
        bits = expected(model, variant, bits=True)
        for number, track in enumerate(model.tracks):
            right = bits[1, number] - bits[0, number]
            assert table[f"{track}_log2fc"][row] == pytest.approx(right, rel=1e-4, abs=1e-5)


def test_scores_from_whole_windows_equal_incremental_scores(fasta, as_on_a_gpu):
    model = made(*MIXED)
    variants = substitutions(TEXT, range(10, 290, 9))
    before = score_variants(model, variants, fasta)
    as_on_a_gpu()
    after = score_variants(model, variants, fasta)
    assert after.columns == before.columns
    np.testing.assert_allclose(after.values, before.values, rtol=1e-5, atol=1e-5)


def test_names_of_scores_and_summaries(fasta):
    variants = substitutions(TEXT, range(10, 290, 9))
    model = made("gaussian", "poisson")
    found = score_variants(model, variants, fasta)
    assert found.columns[:4] == ("t0_log2fc", "t1_log2fc", "t0_diff", "t1_diff")
    summaries = [f"{name}_{how}" for name in ("log2fc", "diff", "product") for how in ("max", "l2")]
    assert found.columns[10:] == tuple(summaries)
    only = score_variants(model, variants, fasta, scores=["log2fc"], tracks=["t1"])
    assert only.columns == ("t1", "log2fc_max", "log2fc_l2")
    np.testing.assert_array_equal(only.values[:, 0], found.values[:, 1])


def test_peaks_and_amounts_have_their_own_scores(fasta):
    variants = substitutions(TEXT, range(10, 290, 9))
    model = made("binary", "gaussian", "binary", "poisson")
    table = score_variants(model, variants, fasta).to_polars()
    of = {"peaks": ["t0", "t2"], "amounts": ["t1", "t3"]}
    names = {"peaks": "logit", "amounts": "log2fc"}
    for kind, tracks in of.items():
        for score in (names[kind], "diff", "product"):
            part = table.select(f"{track}_{score}" for track in tracks).to_numpy()
            name = score if score == names[kind] else f"{kind}_{score}"
            largest = part[np.arange(len(part)), np.abs(part).argmax(axis=1)]
            np.testing.assert_array_equal(table[f"{name}_max"], largest)
            np.testing.assert_allclose(
                table[f"{name}_l2"], np.linalg.norm(part.astype(float), axis=1), rtol=1e-6
            )
    assert not {"diff_max", "product_max", "t0_log2fc", "t1_logit"} & set(table.columns)
    both = score_variants(model, variants, fasta, scores=["log2fc"]).to_polars()
    assert {"t0", "t1", "logit_max", "log2fc_max"} <= set(both.columns)
    # A run on tracks of one kind has the names of that kind alone.
    peaks = score_variants(model, variants, fasta, tracks=["t2", "t0"]).to_polars()
    assert {"diff_max", "logit_max"} <= set(peaks.columns)
    assert peaks["t2_diff"].equals(table["t2_diff"])


def test_measured_amounts_are_scored_on_request(fasta):
    variants = substitutions(TEXT, range(10, 290, 9))
    model = made("gaussian", units=(READS,))
    plain, undone = (
        score_variants(one, variants, fasta) for one in (model, model.with_options(measured=True))
    )
    assert plain.provenance["units"] == "log1p(0.5 x reads)"
    assert undone.provenance["units"] == "reads"
    tables = [one.to_polars() for one in (plain, undone)]
    assert tables[0]["t0_log2fc"].equals(tables[1]["t0_log2fc"])
    forward = model.with_options(strand="forward")
    tables = [
        score_variants(one, variants, fasta).to_polars()
        for one in (forward, forward.with_options(measured=True))
    ]
    for score in ("ref", "alt"):
        np.testing.assert_allclose(
            tables[1][f"t0_{score}"], READS.undo(tables[0][f"t0_{score}"].to_numpy()), rtol=1e-5
        )


def test_amounts_that_are_logarithms_have_their_difference_as_fold_change(fasta, caplog):
    caplog.set_level(logging.INFO, "danq")
    variants = substitutions(TEXT, range(10, 290, 9))
    table = score_variants(made("gaussian", units=(LOGARITHM,)), variants, fasta).to_polars()
    assert table["t0_log2fc"].equals(table["t0_diff"])
    assert "logarithms, by their name or unit: t0 (log2)" in caplog.text
    caplog.clear()
    score_variants(made("gaussian", units=(AmountUnit(),)), variants, fasta)
    assert "amounts without a unit: t0; if they are logarithms, diff is" in caplog.text
    assert "a name that begins with log2 or log10 count as logarithms" in caplog.text
    caplog.clear()
    score_variants(made("gaussian", units=(READS,)), variants, fasta)
    assert "logarithms" not in caplog.text


def test_an_oriented_model_scores_the_forward_strand(fasta, caplog):
    caplog.set_level(logging.INFO, "danq")
    found = score_variants(made("gaussian", oriented=True), substitutions(TEXT, [50]), fasta)
    assert found.provenance["strand"] == "forward"
    assert "effects are those on the forward strand of the genome" in caplog.text
    assert "without the flanks of the training sequences" in caplog.text


def test_an_ensemble_has_means_deviations_and_agreement(fasta):
    models = [made("binary", "gaussian", seed=seed) for seed in (1, 2, 3)]
    variants = substitutions(TEXT, range(10, 290, 9))
    each = [score_variants(one, variants, fasta).to_polars() for one in models]
    table = score_variants(models, variants, fasta).to_polars()
    for name in ("t0_logit", "t1_log2fc", "t1_diff"):
        values = np.stack([one[name].to_numpy() for one in each])
        np.testing.assert_allclose(table[name], values.mean(axis=0), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(
            table[f"{name}_sd"], values.std(axis=0, ddof=1), rtol=1e-4, atol=1e-6
        )
    signs = np.sign([one["t1_log2fc"].to_numpy() for one in each])
    agree = (signs == np.sign(table["t1_log2fc"].to_numpy())).mean(axis=0)
    np.testing.assert_allclose(table["t1_agreement"], agree, rtol=1e-6)


def test_every_format_names_scores_and_units(fasta, tmp_path):
    model, vcf = made(*MIXED), tmp_path / "in.vcf"
    lines = ["##fileformat=VCFv4.2", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    rows = substitutions(TEXT, range(10, 290, 9))
    lines += [f"{chrom}\t{pos}\t.\t{ref}\t{alt}\t.\t.\t." for chrom, pos, ref, alt in rows]
    vcf.write_text("\n".join(lines) + "\n")
    table = score_variants(model, vcf, fasta).to_polars()
    for name in ("a.tsv", "a.h5", "a.parquet", "a.vcf.gz"):
        write_variant_scores(model, vcf, fasta, tmp_path / name)
    units = "t0: probability; t1: log1p(0.5 x reads); t2: log1p(0.5 x reads)"
    text = (tmp_path / "a.tsv").read_text()
    assert f"# units: {units}\n" in text
    assert "logit (change in log2 odds" in text
    assert "log2fc (log2 fold change: log2((1 + alternate) / (1 + reference))" in text
    assert "diff (change in probability, alternate minus reference, or for amounts change" in text
    found = pl.read_csv(tmp_path / "a.tsv", separator="\t", comment_prefix="#", schema=table.schema)
    assert found.equals(table)
    assert pl.read_parquet(tmp_path / "a.parquet").equals(table)
    with h5py.File(tmp_path / "a.h5") as file:
        assert json.loads(file.attrs["provenance"])["units"] == units
        assert file["tracks/unit"].asstr()[:].tolist() == [
            "probability",
            "log1p(0.5 x reads)",
            "log1p(0.5 x reads)",
        ]
        scores = file["scores"]
        assert set(scores) == {"logit", "log2fc", "diff", "product", "ref", "alt"}
        assert file["tracks/kind"][:].tolist() == [0, 1, 1]
        for name, tracks in (("logit", [0]), ("log2fc", [1, 2])):
            right = table.select(f"t{track}_{name}" for track in tracks).to_numpy()
            np.testing.assert_array_equal(scores[name][:], right)
        assert scores["diff"].shape == (table.height, 3)
        assert "of tracks of amounts" in file["summary/amounts_diff_max"].attrs["meaning"]
    import gzip

    header = gzip.decompress((tmp_path / "a.vcf.gz").read_bytes()).decode()
    assert '##INFO=<ID=DANQ_t1_log2fc,Number=A,Type=Float,Description="log2 fold change' in header
    assert "track t1; unit log1p(0.5 x reads)" in header
    assert f"DANQ_t1_log2fc={table['t1_log2fc'][0]}"[:20] in header


@pytest.mark.parametrize("losses", [("gaussian", "poisson"), MIXED])
def test_e_values_of_amounts_are_fractions_of_the_background(fasta, tmp_path, losses):
    units = (READS, PLAIN)
    model, file = made(*losses, units=units), tmp_path / "common.h5"
    common = substitutions(TEXT, range(5, 295, 2))
    write_background(model, common, fasta, file)
    known = score_variants(model, common, fasta).to_polars()
    variants = substitutions(TEXT, range(6, 290, 7))
    table = score_variants(model, variants, fasta, calibrate=file).to_polars()
    for track, kind in zip(model.tracks, model.spec.kinds, strict=True):
        name = "logit" if kind == "peaks" else "log2fc"
        product = known[f"{track}_product"].to_numpy()
        evalue = [(product > value).mean() for value in table[f"{track}_product"]]
        np.testing.assert_allclose(table[f"{track}_evalue"], np.maximum(evalue, 1e-6), rtol=1e-6)
        size = np.abs(known[f"{track}_{name}"].to_numpy())
        share = np.array([(size <= abs(value)).mean() for value in table[f"{track}_{name}"]])
        sign = np.sign(table[f"{track}_{name}"].to_numpy())
        np.testing.assert_allclose(table[f"{track}_quantile"], sign * share, rtol=1e-6)
        # No two tracks have the same unit, so that the specific score is the product.
        np.testing.assert_allclose(
            read_background(file).specific, read_background(file).product, rtol=1e-6
        )
        larger = np.array([(product >= value).sum() for value in table[f"{track}_product"]])
        np.testing.assert_allclose(
            table[f"{track}_p"], (1 + larger) / (1 + len(product)), rtol=1e-6
        )
    assert table["q_min"].is_between(0, 1).all()


def test_the_specific_score_compares_tracks_of_one_unit(fasta, tmp_path):
    units = (READS, READS.model_copy(update={"scale": 3.0}), PLAIN)
    model, file = made("gaussian", "gaussian", "poisson", units=units), tmp_path / "common.h5"
    common = substitutions(TEXT, range(5, 295, 2))
    write_background(model, common, fasta, file)
    known = score_variants(model, common, fasta).to_polars()
    product = known.select(f"t{track}_product" for track in range(3)).to_numpy().astype(float)
    share = product[:, :2] / product[:, :2].max(axis=1, keepdims=True)
    right = np.sort(np.column_stack([product[:, :2] * share**2, product[:, 2]]), axis=0)
    np.testing.assert_allclose(read_background(file).specific, right.T, rtol=1e-4, atol=1e-9)


def test_a_background_of_another_model_or_unit_is_refused(fasta, tmp_path):
    model, file = made("gaussian", units=(READS,)), tmp_path / "common.h5"
    common = substitutions(TEXT, range(5, 295, 9))
    write_background(model, common, fasta, file)
    for other, what in (
        (
            model.with_options(measured=True),
            "made with amounts: as in training; now it is measured ones",
        ),
        (made("gaussian", units=(READS,), seed=4), "model"),
        (made("binary", seed=5), "model"),
    ):
        with pytest.raises(InputError, match=what):
            score_variants(other, common, fasta, calibrate=file)


def test_what_does_not_fit_is_refused(fasta, tmp_path):
    amounts, peaks, mixed = made("gaussian"), made("binary"), made(*MIXED)
    variants = substitutions(TEXT, [40, 80])
    with pytest.raises(InputError, match="'logit' is for tracks of peaks, and no track is of"):
        score_variants(amounts, variants, fasta, scores=["logit"])
    with pytest.raises(InputError, match="Choose from log2fc, diff, product, ref, alt"):
        score_variants(amounts, variants, fasta, scores=["lfc"])
    with pytest.raises(InputError, match="'log2fc' is for tracks of amounts, and no track is of"):
        score_variants(peaks, variants, fasta, scores=["log2fc"])
    with pytest.raises(InputError, match="'log2fc' is for tracks of amounts"):
        score_variants(mixed, variants, fasta, scores=["log2fc"], tracks=["t0"])
    with pytest.raises(InputError, match="measured amounts were asked for, but every track"):
        score_variants(mixed.with_options(measured=True), variants, fasta, tracks=["t0"])
    with pytest.raises(InputError, match="deepsea holds probabilities and has no place for"):
        write_variant_scores(mixed, variants, fasta, tmp_path / "a", format="deepsea")
    write_variant_scores(mixed, variants, fasta, tmp_path / "b", format="deepsea", tracks=["t0"])
    with pytest.raises(InputError, match="both strands were asked for, but the model was trained"):
        made("gaussian", oriented=True).with_options(strand="both")
    assert not list(tmp_path.glob("a*"))


def test_the_command_scores_measured_amounts(fasta, tmp_path, capsys):
    from danq.models import save_model

    model = made("gaussian", units=(READS,))
    save_model(tmp_path / "m.safetensors", model.module, model.spec)
    rows = substitutions(TEXT, [40, 80, 120])
    lines = ["chrom\tpos\tref\talt", *("\t".join(map(str, row)) for row in rows)]
    (tmp_path / "in.tsv").write_text("\n".join(lines) + "\n")
    arguments = ["variants", str(tmp_path / "m.safetensors"), str(tmp_path / "in.tsv")]
    arguments += ["--genome", str(fasta), "--device", "cpu", "--threads", "1"]
    for name, more in (("a.tsv", []), ("b.tsv", ["--measured"])):
        assert run([*arguments, "--out", str(tmp_path / name), *more]) == 0
    assert "# units: log1p(0.5 x reads)\n" in (tmp_path / "a.tsv").read_text()
    assert "# units: reads\n" in (tmp_path / "b.tsv").read_text()
    assert run([*arguments, "--out", str(tmp_path / "c.tsv"), "--scores", "logit"]) == 2
    assert "Choose from log2fc, diff, product, ref, alt" in capsys.readouterr().err
