"""p- and q-values in the outputs of variant runs."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest
from scipy import stats

from danq.inference import Variants, score_variants, write_background, write_variant_scores
from danq.inference.variants import background as distribution
from danq.inference.variants.background_file import read_background
from tests.one_contig import Variant, random_bases, substitutions, write_contig
from tests.watched import watched

RUN = sys.modules["danq.inference.variants.prepare"]
TEXT = random_bases(3000)


def snvs(positions: Iterable[int]) -> list[Variant]:
    return substitutions(TEXT, positions)


@pytest.fixture
def fasta(tmp_path) -> Path:
    return write_contig(tmp_path / "genome.fa", TEXT)


@pytest.fixture
def regions(tmp_path) -> Path:
    path = tmp_path / "regions.bed"
    path.write_text("chr1\t0\t1000\tpromoter\nchr1\t1000\t1500\texon\n")
    return path


@pytest.fixture(autouse=True)
def _small_strata(monkeypatch):
    monkeypatch.setattr(distribution, "FEWEST", 50)
    monkeypatch.setattr(RUN, "BLOCK_RECORDS", 40)


COMMON = [
    *snvs(range(20, 2900, 4)),
    *[("chr1", at, TEXT[at - 1 : at + 2], TEXT[at - 1]) for at in range(40, 2900, 45)],
]
VARIANTS = [
    *snvs(range(22, 2900, 31)),
    ("chr1", 50, TEXT[49], "<DEL>"),
    ("chr1", 90, TEXT[89:92], TEXT[89]),
    ("chr1", 95, TEXT[94], TEXT[94] + "GATTACA"),
]


def region_of(pos: int) -> str:
    return "promoter" if pos <= 1000 else "exon" if pos <= 1500 else "."


def specific(table: pl.DataFrame, track: str) -> pl.Series:
    """The score that p compares, from the columns of an output of all tracks."""
    return table[f"{track}_product"] ** 3 / table["product_max"] ** 2


def test_p_and_q_follow_from_the_scores_of_matched_background_variants(
    small_model, fasta, regions, tmp_path
):
    model, file = small_model(), tmp_path / "common.h5"
    write_background(model, Variants(COMMON, regions=regions), fasta, file)
    common = score_variants(model, COMMON, fasta).to_polars()
    table = score_variants(model, VARIANTS, fasta, calibrate=file).to_polars()
    single = common["ref"].str.len_chars() == 1
    where = pl.Series([region_of(pos) for pos in common["pos"]])
    for track in model.tracks:
        background, scores = specific(common, track), specific(table, track)
        for row, score in zip(table.iter_rows(named=True), scores, strict=True):
            if len(row["ref"]) == len(row["alt"]):
                own = background.filter(single & (where == region_of(row["pos"])))
                assert row["flags"] == "."
            elif len(row["ref"]) > 1:
                # There are fewer than 50 in each region: those of all regions are used.
                own = background.filter(~single)
                assert "unmatched" in row["flags"]
            else:
                own = background
                assert "unmatched" in row["flags"]
            p = (1 + (own >= score).sum()) / (1 + len(own))
            assert row[f"{track}_p"] == pytest.approx(p, rel=1e-6)
    p = table.select(f"{track}_p" for track in model.tracks).to_numpy().astype(np.float64)
    q = table.select(f"{track}_q" for track in model.tracks).to_numpy()
    expected = stats.false_discovery_control(p.ravel()).reshape(p.shape)
    np.testing.assert_allclose(q, expected, rtol=1e-6)
    np.testing.assert_array_equal(table["q_min"], q.min(axis=1))
    names = [model.tracks[at] for at in p.argmin(axis=1)]
    assert table["q_min_track"].to_list() == names


def test_q_is_over_the_selected_tracks(small_model, fasta, tmp_path):
    model, file = small_model(), tmp_path / "common.h5"
    write_background(model, COMMON, fasta, file)
    table = score_variants(
        model, VARIANTS, fasta, calibrate=file, tracks=["Rap1"], scores="diff"
    ).to_polars()
    expected = stats.false_discovery_control(table["Rap1_p"].to_numpy().astype(np.float64))
    np.testing.assert_allclose(table["Rap1_q"], expected, rtol=1e-6)
    assert set(table["q_min_track"]) == {"Rap1"}


def test_p_does_not_depend_on_the_selected_tracks(small_model, fasta, regions, tmp_path):
    """The largest product is over all tracks of the model, also where a background has fewer."""
    model = small_model()
    files = {tracks: tmp_path / f"{len(tracks)}.h5" for tracks in (model.tracks, ("Reb1", "Rap1"))}
    for tracks, file in files.items():
        write_background(model, Variants(COMMON, regions=regions), fasta, file, tracks=tracks)
    every, two = (
        score_variants(model, VARIANTS, fasta, calibrate=file, tracks=tracks).to_polars()
        for tracks, file in files.items()
    )
    one = score_variants(model, VARIANTS, fasta, calibrate=files[model.tracks], tracks=["Rap1"])
    for found in (two, one.to_polars()):
        assert found["Rap1_p"].equals(every["Rap1_p"])
    products = every.select(f"{track}_product" for track in model.tracks).to_numpy()
    assert (products.argmax(axis=1) != model.tracks.index("Rap1")).any()


def test_all_formats_hold_the_same_values(small_model, fasta, regions, tmp_path):
    models, file = [small_model(), small_model(seed=1)], tmp_path / "common.h5"
    write_background(models, Variants(COMMON, regions=regions), fasta, file)
    table = score_variants(models, VARIANTS, fasta, calibrate=file).to_polars()
    assert {"Reb1_agreement", "Reb1_p", "Reb1_q", "Reb1_logit_sd"} <= set(table.columns)
    vcf = tmp_path / "in.vcf"
    lines = [f"{chrom}\t{pos}\t.\t{ref}\t{alt}\t.\t.\t." for chrom, pos, ref, alt in VARIANTS]
    vcf.write_text(
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        + "\n".join(lines)
        + "\n"
    )
    outs = {name: tmp_path / f"out.{name}" for name in ("tsv", "parquet", "h5", "vcf.gz")}
    for out in outs.values():
        write_variant_scores(models, vcf, fasta, out, calibrate=file)
    text = pl.read_csv(outs["tsv"], separator="\t", comment_prefix="#")
    stored = pl.read_parquet(outs["parquet"])
    values = [name for name in table.columns if name not in ("chrom", "id")]
    for other in (stored, text.cast({n: table.schema[n] for n in values})):
        assert other.select(values).equals(table.select(values))
    with h5py.File(outs["h5"]) as found:
        for name in ("p", "q", "agreement"):
            expected = table.select(f"{track}_{name}" for track in models[0].tracks).to_numpy()
            np.testing.assert_array_equal(found[f"scores/{name}"][:], expected)
        index = found["summary/q_min_track"][:]
        assert [models[0].tracks[at] for at in index] == table["q_min_track"].to_list()
        assert found["summary/q_min_track"].dtype == np.uint32
    import pysam

    with pysam.VariantFile(str(outs["vcf.gz"])) as records:
        rows = [one.info for one in records if "DANQ_q_min" in one.info]
    assert [row["DANQ_q_min_track"][0] for row in rows] == table["q_min_track"].to_list()
    np.testing.assert_allclose([row["DANQ_Reb1_p"][0] for row in rows], table["Reb1_p"], rtol=1e-5)


def test_a_resumed_run_has_the_same_bytes(small_model, fasta, regions, tmp_path):
    class Stop(Exception):
        pass

    def stop(done, total):
        if done >= 40:
            raise Stop

    model, file = small_model(), tmp_path / "common.h5"
    write_background(model, Variants(COMMON, regions=regions), fasta, file)
    complete, out = tmp_path / "complete.tsv", tmp_path / "out.tsv"
    table = tmp_path / "variants.tsv"
    pl.DataFrame(VARIANTS, schema=["chrom", "pos", "ref", "alt"], orient="row").write_csv(
        table, separator="\t"
    )
    write_variant_scores(model, table, fasta, complete, calibrate=file)
    with pytest.raises(Stop), watched(stop):
        write_variant_scores(model, table, fasta, out, calibrate=file)
    write_variant_scores(model, table, fasta, out, calibrate=file, resume=True)
    assert out.read_bytes() == complete.read_bytes()


def test_a_repeated_variant_in_another_region_has_its_own_p(small_model, tmp_path):
    """The windows of both copies are the same, so their scores are shared; p is not."""
    unit = TEXT[:300]
    fasta, regions = tmp_path / "genome.fa", tmp_path / "regions.bed"
    fasta.write_text(f">chr1\n{unit * 4}\n")
    regions.write_text("chr1\t0\t300\ta\n")
    common = [
        ("chr1", 300 * copy + at + 1, unit[at], "ACGT"["ACGT".index(unit[at]) - 1])
        for copy, step in ((0, 5), (1, 2))
        for at in range(30, 290, step)
    ]
    model, file = small_model(), tmp_path / "common.h5"
    write_background(model, Variants(common, regions=regions), fasta, file)
    pair = [("chr1", at + 1, unit[100], "ACGT"["ACGT".index(unit[100]) - 1]) for at in (100, 700)]
    table = score_variants(model, pair, fasta, calibrate=file).to_polars()
    assert table["Reb1_logit"].n_unique() == 1
    assert table["Reb1_p"].n_unique() == 2


def test_agreement_is_the_fraction_of_models_with_the_sign_of_the_mean(small_model, fasta):
    models = [small_model(seed=seed) for seed in range(4)]
    table = score_variants(models, VARIANTS, fasta).to_polars()
    each = [score_variants(one, VARIANTS, fasta).to_polars() for one in models]
    for track in models[0].tracks:
        logits = np.array([one[f"{track}_logit"] for one in each])
        sign = np.sign(table[f"{track}_logit"].to_numpy())
        expected = (np.sign(logits) == sign).mean(axis=0)
        np.testing.assert_allclose(table[f"{track}_agreement"], expected)
        assert 0.25 <= expected.min() < 1


def test_deepsea_files_hold_the_standard_deviations(small_model, fasta, tmp_path):
    models = [small_model(), small_model(seed=1)]
    table = score_variants(models, VARIANTS, fasta).to_polars()
    out = tmp_path / "effects"
    write_variant_scores(models, VARIANTS, fasta, out, format="deepsea")
    for file, score in (("diff_sd", "diff_sd"), ("logfoldchange_sd", "logit_sd")):
        found = pl.read_csv(tmp_path / f"effects.{file}")
        for track in models[0].tracks:
            np.testing.assert_allclose(found[track], table[f"{track}_{score}"], rtol=1e-3)


def test_a_background_lists_its_strata(small_model, fasta, regions, tmp_path, caplog):
    file = tmp_path / "common.h5"
    with caplog.at_level("INFO", "danq"):
        write_background(small_model(), Variants(COMMON, regions=regions), fasta, file)
    assert "background variants: deletion of 2 to 5 in . (" in caplog.text
    found = {one.stratum: one.count for one in read_background(file).strata}
    assert found[("SNV", "promoter")] == sum(20 <= at < 1000 for at in range(20, 2900, 4))
    assert found[("deletion", "")] == 64
