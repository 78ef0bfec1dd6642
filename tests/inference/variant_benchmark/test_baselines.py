"""Baselines against values computed from text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from danq.datasets import LabelOptions, build_dataset
from danq.errors import InputError
from danq.genome.motif_files import write_meme
from danq.genome.motif_matrix import Motif
from danq.inference import benchmark_variants
from danq.inference.ensemble import Ensemble
from danq.inference.variant_benchmark.baselines import (
    AlleleBaseline,
    KmerEffects,
    MotifEffects,
    kind_of,
    read_baselines,
)
from danq.inference.variants.prepare import prepare
from danq.inference.variants.variant_source import Variants

MOTIF = "TTACCC"


def motif(text: str) -> Motif:
    return Motif("Reb1", np.array([[0.97 if b == x else 0.01 for b in "ACGT"] for x in text]))


@pytest.fixture
def contig() -> str:
    letters = np.random.default_rng(8).choice(list("ACGT"), 400)
    text = "".join(letters).replace(MOTIF, "A" * 6).replace("GGGTAA", "A" * 6)
    return text[:100] + MOTIF + text[106:300] + "GGGTAA" + text[306:]


def windows_of(model, rows: list[tuple], contig: str):
    run = prepare(model, Variants(rows), {"chr1": contig}, ("logit",))
    with run.open() as reader:
        return next(iter(run.input.windows(reader))), run.input.center


def test_properties_of_alleles(toy, contig):
    rows = [
        ("chr1", 50, contig[49], "G" if contig[49] != "G" else "A"),
        ("chr1", 60, contig[59], contig[59] + "GCA"),
        ("chr1", 70, contig[69:72], contig[69]),
        ("chr1", 80, contig[79:81], contig[79:81].translate(str.maketrans("ACGT", "CATG"))),
    ]
    windows, _ = windows_of(toy(), rows, contig)
    found = AlleleBaseline().scores(windows)
    gc = [sum(map(alt.count, "GC")) - sum(map(ref.count, "GC")) for _, _, ref, alt in rows]
    assert found["gc_change"].tolist() == gc
    assert found["length_change"].tolist() == [0, 3, -2, 0]
    assert found["kind"].tolist()[1:] == [3, 3, 2]
    pairs = {"A": "G", "G": "A", "C": "T", "T": "C"}
    for alt in "ACGT".replace(contig[49], ""):
        one, _ = windows_of(toy(), [("chr1", 50, contig[49], alt)], contig)
        want = 0 if pairs[contig[49]] == alt else 1
        assert AlleleBaseline().scores(one)["kind"].tolist() == [want]
    kinds = [kind_of(*pair) for pair in (("A", "C"), ("", "C"), ("AA", ""))]
    assert kinds == ["substitution", "insertion", "deletion"]


def test_matches_of_motifs(toy, contig):
    model = toy(window=60)
    rows = [
        ("chr1", 102, contig[101], "G"),  # the second base of the motif
        ("chr1", 303, contig[302], "A"),  # the third base of its reverse complement
        ("chr1", 111, contig[110], "C" if contig[110] != "C" else "G"),  # 5 bases behind
        ("chr1", 200, contig[199], "C" if contig[199] != "C" else "G"),
        ("chr1", 103, contig[102], contig[102] + "G"),  # an insertion into the motif
    ]
    windows, center = windows_of(model, rows, contig)
    one = motif(MOTIF)
    found = MotifEffects([one], center).scores(windows)
    bits = one.log_odds()
    lost = bits[1, "ACGT".index("G")] - bits[1, "ACGT".index("T")]
    assert found["motif_max"][0] == pytest.approx(lost)
    assert found["motif_max"][1] == pytest.approx(
        bits[3, "ACGT".index("T")] - bits[3, "ACGT".index("C")]
    )
    assert found["motif_max"][4] < -5
    assert found["motif_distance"].tolist() == [0, 0, -5, -60, 0]
    # The motif with the larger change counts.
    both = MotifEffects([motif("GGGGGGGG"), one], center).scores(windows)
    assert both["motif_max"][0] == pytest.approx(lost)


def test_motifs_longer_than_the_window_have_no_effect(toy, contig):
    windows, center = windows_of(toy(), [("chr1", 102, contig[101], "G")], contig)
    found = MotifEffects([motif(MOTIF * 5)], center).scores(windows)
    assert found["motif_max"].tolist() == [0]
    assert found["motif_distance"].tolist() == [-20]


@pytest.fixture
def dataset(tmp_path) -> Path:
    rng = np.random.default_rng(1)
    contigs = {name: "".join(rng.choice(list("ACGT"), 3000)) for name in ("chr1", "chr2", "chr3")}
    (tmp_path / "genome.fa").write_text("".join(f">{n}\n{t}\n" for n, t in contigs.items()))
    for track in ("Abf1", "Reb1", "Rap1"):
        starts = rng.integers(0, 2900, 60)
        lines = [f"chr{1 + i % 3}\t{start}\t{start + 60}" for i, start in enumerate(starts)]
        (tmp_path / f"{track}.bed").write_text("\n".join(lines) + "\n")
    out = tmp_path / "data.h5"
    build_dataset(
        out,
        tmp_path / "genome.fa",
        [tmp_path / f"{track}.bed" for track in ("Abf1", "Reb1", "Rap1")],
        window=40,
        valid="chr2",
        test="chr3",
        options=LabelOptions(bin=10),
    )
    return out


def test_the_k_mer_model_is_that_of_the_dataset(small_model, dataset, contig):
    model = small_model()
    rows = [("chr1", 50 + 3 * i, contig[49 + 3 * i], alt) for i, alt in enumerate("ACGTACGT")]
    rows = [row for row in rows if row[2] != row[3]]
    windows, center = windows_of(model, rows, contig)
    (kmers, *rest) = read_baselines([dataset], Ensemble.of(model, ["Rap1", "Abf1"]), center)
    assert isinstance(kmers, KmerEffects)
    assert [type(one) for one in rest] == [AlleleBaseline]
    assert kmers.tracks == (2, 0)
    found = kmers.scores(windows)
    change = kmers.model.predict(windows.alternates[0]) - kmers.model.predict(windows.reference)
    change = change[:, [2, 0]]
    np.testing.assert_allclose(found["kmer_l2"], np.linalg.norm(change, axis=1), rtol=1e-5)
    largest = np.abs(change).argmax(axis=1)
    np.testing.assert_array_equal(found["kmer_max"], change[np.arange(len(rows)), largest])


def test_files_of_baselines_are_recognised(small_model, dataset, contig, tmp_path):
    model, meme = small_model(), tmp_path / "m.meme"
    write_meme(meme, [motif(MOTIF)])
    rows = [
        {"chrom": "chr1", "pos": 40 + 5 * i, "ref": contig[39 + 5 * i], "alt": alt, "effect": i}
        for i, alt in enumerate("ACGT" * 12)
        if contig[39 + 5 * i] != alt
    ]
    table = pl.DataFrame(rows)
    report = benchmark_variants(
        model, table, {"chr1": contig}, baselines=[dataset, meme], bootstrap=0
    )
    names = report.table.filter(report.table["kind"] == "baseline")["name"].to_list()
    of_files = ["kmer_l2", "kmer_max", "motif_distance", "motif_max"]
    assert set(names) == {"gc_change", "kind", "length_change", *of_files}
    with pytest.raises(InputError, match="is the second file of motifs"):
        benchmark_variants(model, table, {"chr1": contig}, baselines=[meme, meme])
    long = small_model(window=60)
    with pytest.raises(InputError, match="its windows have 40 bases, those of the model 60"):
        benchmark_variants(long, table, {"chr1": contig}, baselines=[dataset])
