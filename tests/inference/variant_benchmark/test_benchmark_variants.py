"""Benchmarks of variants against values computed by hand, scikit-learn and scipy."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score, roc_auc_score

import danq
from danq.errors import InputError
from danq.inference import Measurements, benchmark_variants, write_variant_benchmark

STEP = 0.25 / math.log(2)
"""Change in log2 odds of the toy model's track G for one more G."""

LENGTH = 400


def rho(first, second) -> float:
    """Spearman correlation of scipy."""
    return float(np.asarray(spearmanr(first, second))[0])


@pytest.fixture
def contig() -> str:
    return "".join(np.random.default_rng(5).choice(list("ACGT"), LENGTH))


@pytest.fixture
def fasta(contig, tmp_path) -> Path:
    path = tmp_path / "genome.fa"
    path.write_text(f">chr1\n{contig}\n")
    return path


@pytest.fixture
def model(toy):
    return toy().with_options(strand="forward")


def substitutions(contig: str, alts: str, step: int = 7, first: int = 30) -> list[dict]:
    """One substitution for each letter; a letter that the genome has is the next of ACGT."""
    rows = []
    for i, alt in enumerate(alts):
        pos = first + step * i
        ref = contig[pos - 1]
        rows.append(
            {
                "chrom": "chr1",
                "pos": pos,
                "ref": ref,
                "alt": alt if alt != ref else "ACGT"["ACGT".index(alt) - 1],
            }
        )
    return rows


def table_of(contig: str, count: int = 40, seed: int = 0, **columns) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    rows = substitutions(contig, "".join(rng.choice(list("ACGT"), count)))
    return pl.DataFrame(rows).with_columns(pl.Series(name, v) for name, v in columns.items())


def change_of_g(table: pl.DataFrame) -> np.ndarray:
    return np.array([(a == "G") - (r == "G") for r, a in table.select("ref", "alt").iter_rows()])


def metric(report, name: str, column: str) -> float:
    return report.table.filter(pl.col("name") == name)[column].item()


def write(path: Path, table: pl.DataFrame) -> Path:
    table.write_csv(path, separator="\t", null_value="NA")
    return path


def test_values_computed_by_hand(model, fasta, contig):
    # Sizes |change of G| of 8 variants: 1 1 0 1 0 0 1 0, chosen by the bases of the genome.
    rows, want = [], [1, 1, 0, 1, 0, 0, 1, 0]
    at = 30
    for size in want:
        while (contig[at - 1] == "G") or contig[at - 1] == "A":
            at += 1
        rows.append(
            {"chrom": "chr1", "pos": at, "ref": contig[at - 1], "alt": "G" if size else "A"}
        )
        at += 5
    label = [1, 1, 1, 0, 0, 0, 0, 0]
    effect = [2.0, -3.0, 0.5, 1.0, -0.25, 0.1, 0.2, 0.3]
    table = pl.DataFrame(rows).with_columns(pl.Series("label", label), pl.Series("effect", effect))
    report = benchmark_variants(model, table, fasta, tracks=["G"], bootstrap=0)
    # Positives 1 1 0 against controls 1 0 0 1 0: pairs 2 * (3 + 2/2) + (0 + 3/2) of 15.
    assert metric(report, "G", "auroc") == pytest.approx(9.5 / 15)
    # Precision 2/4 at the first score, reached by two of three positives, then 3/8.
    assert metric(report, "G", "ap") == pytest.approx((2 * 2 / 4 + 3 / 8) / 3)
    expected = rho(want, np.abs(effect))
    assert metric(report, "G", "spearman_size") == pytest.approx(expected)
    assert metric(report, "G", "spearman_signed") == pytest.approx(rho(want, effect))
    # Predicted increases: 2.0 right, -3.0 wrong, 1.0 and 0.2 right; four zeros count half.
    assert metric(report, "G", "sign_agreement") == pytest.approx((3 + 4 / 2) / 8)
    assert metric(report, "G", "sign_agreement_label") == pytest.approx((1 + 0.5) / 3)
    assert metric(report, "logit_max", "auroc") == pytest.approx(9.5 / 15)
    assert report.counts["label 1"] == 3


def test_metrics_equal_those_of_scored_variants(small_model, fasta, contig):
    rng = np.random.default_rng(2)
    table = table_of(
        contig,
        50,
        log_fc=np.round(rng.normal(size=50), 2),
        padj=np.round(rng.random(50) ** 2, 3),
        gene=rng.choice(["a", "b", "c"], 50),
    )
    model = small_model()
    report = benchmark_variants(model, table, fasta, bootstrap=20)
    scored = danq.score_variants(model, danq.Variants(table), fasta).to_polars()
    label = (table["padj"] < 0.05).to_numpy()
    effect = table["log_fc"].to_numpy()
    for name in ("logit_max", "logit_l2", "diff_max", "product_l2"):
        size = np.abs(scored[name].to_numpy())
        assert metric(report, name, "auroc") == pytest.approx(roc_auc_score(label, size))
        assert metric(report, name, "ap") == pytest.approx(average_precision_score(label, size))
        correlation = rho(size, np.abs(effect))
        assert metric(report, name, "spearman_size") == pytest.approx(correlation)
    signed = scored["Abf1_logit"].to_numpy()
    parts = [
        (int(own.sum()), rho(signed[own], effect[own]))
        for own in (table["gene"].to_numpy() == gene for gene in "abc")
    ]
    expected = sum(n * value for n, value in parts) / 50
    assert metric(report, "Abf1", "strata_spearman_signed") == pytest.approx(expected)
    assert metric(report, "Abf1", "spearman_signed_low") < metric(report, "Abf1", "spearman_signed")
    assert report.counts == {
        "rows": 50,
        "compared": 50,
        "left out": 0,
        "label 1": int(label.sum()),
        "label 0": int((~label).sum()),
        "strata": 3,
    }


def test_summaries_of_signed_scores_over_tracks(model, fasta, contig):
    table = table_of(contig, effect=np.arange(40.0))
    report = benchmark_variants(model, table, fasta, bootstrap=0)
    change = change_of_g(table)
    of_c = [(a == "C") - (r == "C") for r, a in table.select("ref", "alt").iter_rows()]
    total = STEP * (change + of_c)
    expected = rho(total, table["effect"])
    assert metric(report, "logit_sum", "spearman_signed") == pytest.approx(expected)
    assert math.isnan(metric(report, "logit_l2", "spearman_signed"))
    assert math.isnan(metric(report, "product_max", "sign_agreement"))
    assert "auroc" not in report.table.columns
    values = report.table["spearman_size"].drop_nans().to_list()
    assert values == sorted(values, reverse=True)


def test_matched_groups_as_in_traitgym(model, fasta, contig, tmp_path):
    # Parquet with boolean labels, contigs without chr, and one positive and three controls each.
    table = table_of(contig, 40).with_columns(
        pl.lit("1").alias("chrom"),
        pl.Series("label", [i % 4 == 0 for i in range(40)]),
        pl.Series("match_group", [f"c_{i // 4}" for i in range(40)]),
        pl.Series("tss_dist", range(40)),
    )
    path = tmp_path / "test.parquet"
    table.write_parquet(path)
    report = benchmark_variants(model, path, fasta, tracks=["G"], bootstrap=50)
    size = np.abs(change_of_g(table)).reshape(10, 4)
    aurocs = [roc_auc_score([1, 0, 0, 0], row) for row in size]
    aps = [average_precision_score([1, 0, 0, 0], row) for row in size]
    assert metric(report, "G", "matched_auroc") == pytest.approx(np.mean(aurocs))
    assert metric(report, "G", "matched_ap") == pytest.approx(np.mean(aps))
    assert report.counts["matched groups"] == 10
    low, high = (metric(report, "G", f"matched_auroc_{end}") for end in ("low", "high"))
    assert low < np.mean(aurocs) < high


def test_cagi5_layout(model, fasta, contig, tmp_path):
    # Names, a comment sign before the header, a confidence from 0 to 1, and alleles of one base.
    rng = np.random.default_rng(4)
    table = table_of(contig, Value=np.round(rng.normal(size=40), 2), Confidence=rng.random(40))
    path = tmp_path / "challenge_F9.tsv"
    names = "#Chrom\tPos\tRef\tAlt\tValue\tConfidence"
    lines = ["\t".join(map(str, row)) for row in table.with_columns(chrom=pl.lit("1")).rows()]
    path.write_text("\n".join([names, *lines]) + "\n")
    report = benchmark_variants(
        model, Measurements(path, label="Confidence >= 0.1"), fasta, tracks=["G"], bootstrap=0
    )
    size, label = np.abs(change_of_g(table)), (table["Confidence"] >= 0.1).to_numpy()
    assert metric(report, "G", "auroc") == pytest.approx(roc_auc_score(label, size))
    correlation = rho(change_of_g(table), table["Value"])
    assert metric(report, "G", "spearman_signed") == pytest.approx(correlation)


def test_layout_of_saturation_mutagenesis(model, fasta, contig, tmp_path, caplog):
    # CSV, a deletion of one base as "-", and p-values that are not adjusted.
    rng = np.random.default_rng(9)
    table = table_of(contig, 40, Value=np.round(rng.normal(size=40), 2))
    p_values = np.round(rng.random(40) ** 8, 9)
    names = "Chromosome,Position,Ref,Alt,Tags,DNA,RNA,Value,P-Value"
    lines = [
        f"1,{pos},{ref},{alt},12,100,90,{value},{p:.9f}"
        for (_, pos, ref, alt, value), p in zip(table.rows(), p_values, strict=True)
    ]
    path = tmp_path / "GRCh38_F9.csv"
    path.write_text("\n".join([names, *lines, f"1,370,{contig[369]},-,9,9,9,0.25,0.5"]) + "\n")
    with caplog.at_level("INFO", "danq"):
        report = benchmark_variants(model, path, fasta, bootstrap=0)
    assert "auroc" not in report.table.columns
    assert "'P-Value' is not read as a label, because it is not adjusted" in caplog.text
    labelled = Measurements(path, label="P-Value < 1e-5")
    report = benchmark_variants(model, labelled, fasta, tracks=["G"], bootstrap=0)
    assert report.counts["compared"] == 41
    assert report.counts["label 1"] == int((p_values < 1e-5).sum()) > 0
    lengths = metric(report, "length_change", "spearman_signed")
    assert lengths == pytest.approx(rho([0] * 40 + [-1], [*table["Value"], 0.25]))


def test_controls_are_matched_by_kind_and_columns(model, fasta, contig):
    rng = np.random.default_rng(6)
    label = (rng.random(40) < 0.4).astype(int)
    distance = rng.permutation(40)
    strand = rng.choice(["x", "y"], 40)
    table = table_of(contig, label=label, distance=distance, side=strand)
    insertion = {"chrom": "chr1", "pos": 360, "ref": contig[359], "alt": contig[359] + "GG"}
    row = {**insertion, "label": 1, "distance": 3, "side": "x"}
    table = pl.concat([table, pl.DataFrame([row], schema=table.schema)])
    report = benchmark_variants(
        model, Measurements(table, match=("distance", "side")), fasta, tracks=["G"], bootstrap=0
    )
    size = np.abs(change_of_g(table))
    distance, label = table["distance"].to_numpy(), table["label"].to_numpy()
    limits = np.quantile(distance, [0.2, 0.4, 0.6, 0.8])
    fifth = np.searchsorted(limits, distance)
    sums = np.zeros(2)
    for key in {(f, s) for f, s in zip(fifth, table["side"], strict=True)}:
        own = (fifth == key[0]) & (table["side"] == key[1]).to_numpy() & (np.arange(41) < 40)
        if 0 < label[own].sum() < own.sum():
            n = label[own].sum()
            sums += n * np.array([roc_auc_score(label[own], size[own]), 1])
    assert metric(report, "G", "matched_auroc") == pytest.approx(sums[0] / sums[1])
    assert any("have no matched control" in note for note in report.notes)


def test_exchanged_alleles_reverse_the_effect(model, fasta, contig):
    table = table_of(contig, effect=change_of_g(table_of(contig)) + np.arange(40) / 100)
    exchanged = table.rename({"ref": "alt", "alt": "ref"}).with_columns(-pl.col("effect"))
    plain = benchmark_variants(model, table, fasta, bootstrap=0)
    swapped = benchmark_variants(
        model, Measurements(exchanged, ref_mismatch="swap"), fasta, bootstrap=0
    )
    assert plain.table.equals(swapped.table)
    # Effect and other allele, of which the genome has the effect allele.
    gwas = table.rename({"ref": "A1", "alt": "A2"}).with_columns(-pl.col("effect"))
    found = benchmark_variants(model, gwas, fasta, bootstrap=0)
    assert plain.table.equals(found.table)


def test_a_strand_of_genes_is_not_that_of_the_alleles(model, fasta, contig):
    table = table_of(contig, effect=np.arange(40.0), strand=["-"] * 40)
    assert benchmark_variants(model, table, fasta, bootstrap=0).counts["compared"] == 40


def test_rows_left_out_are_counted_and_listed(model, fasta, contig, tmp_path):
    table = table_of(contig, effect=[None, *np.arange(39.0)])
    first = table.row(1, named=True)
    table = pl.concat(
        [
            table,
            pl.DataFrame([first, {**first, "chrom": "chrQ"}], schema=table.schema),
            pl.DataFrame([{**first, "alt": "<DEL>"}], schema=table.schema),
        ]
    )
    report = benchmark_variants(model, write(tmp_path / "t.tsv", table), fasta, bootstrap=0)
    assert report.counts["rows"] == 43
    assert report.counts["compared"] == 39
    assert report.rejected.select("record", "reason").rows() == [
        (1, "no-effect"),
        (41, "repeated"),
        (42, "unknown-contig"),
        (43, "symbolic"),
    ]
    out = tmp_path / "b.tsv"
    write_variant_benchmark(report, out)
    listed = pl.read_csv(tmp_path / "b.tsv.rejected.tsv", separator="\t", comment_prefix="#")
    assert listed["reason"].to_list() == report.rejected["reason"].to_list()
    written = pl.read_csv(out, separator="\t", comment_prefix="#")
    assert written["name"].to_list() == report.table["name"].to_list()
    text = out.read_text()
    assert "left out 4 rows" in text
    checksum = hashlib.sha256((tmp_path / "t.tsv").read_bytes()).hexdigest()
    assert f"# variants: {tmp_path / 't.tsv'} sha256:{checksum}" in text
    with pytest.raises(InputError, match="exists already"):
        write_variant_benchmark(report, out)
    write_variant_benchmark(report, out, overwrite=True)
    (tmp_path / "b.tsv.rejected.tsv").write_text("notes\n")
    with pytest.raises(InputError, match=r"b\.tsv\.rejected\.tsv: would be replaced"):
        write_variant_benchmark(report, out, overwrite=True)
    assert out.read_text() == text


def error_of(model, fasta, table, **columns) -> str:
    with pytest.raises(InputError) as caught:
        benchmark_variants(model, Measurements(table, **columns), fasta, bootstrap=0)
    return str(caught.value)


def test_errors_name_the_cause(model, fasta, contig, tmp_path):
    table = table_of(contig, label=[0] * 40)
    assert "the label of all 40 variants is 0 (no effect)" in error_of(model, fasta, table)
    table = table_of(contig, effect=[1.5] * 40)
    assert "the effect of all 40 variants is 1.5" in error_of(model, fasta, table)
    table = table_of(contig, effect=[math.nan] * 40)
    text = error_of(model, fasta, table)
    assert "0 of 40 rows can be compared (40 no-effect), the minimum is 5" in text
    table = table_of(contig, effect=np.arange(40.0))
    path = tmp_path / "t.tsv"
    text = write(path, table).read_text().replace("\t7.0\n", "\tinf\n")
    path.write_text(text)
    assert "t.tsv, line 9: 'inf' in the column 'effect' is not" in error_of(model, fasta, path)
    path.write_text(text.replace("\tinf\n", "\t1,5\n"))
    assert "'1,5' in the column 'effect'" in error_of(model, fasta, path)
    path.write_text(text.replace("\tinf\n", "\t1_000\n"))
    assert "'1_000' in the column 'effect'" in error_of(model, fasta, path)
    for label in ("effect < high", "effect < 1e", "< 3"):
        assert "label" in error_of(model, fasta, table, label=label)
    assert "has no column 'size'" in error_of(model, fasta, table, effect="size")
    assert "has no column of measured effects or labels" in error_of(
        model, fasta, table.rename({"effect": "other"})
    )
    both = table.with_columns(pl.col("effect").alias("beta"))
    assert "the columns 'effect' and 'beta' could both" in error_of(model, fasta, both)
    assert "'2' in the column 'effect' is not a label" in error_of(
        model, fasta, table, label="effect"
    )
    assert "holds no variant" in error_of(model, fasta, table.head(0))


def test_a_reference_that_differs_is_an_error_at_its_line(model, fasta, contig, tmp_path):
    table = table_of(contig, effect=np.arange(40.0))
    ref = table["ref"].to_list()
    ref[3] = next(x for x in "ACGT" if x not in (ref[3], table["alt"][3]))
    wrong = table.with_columns(pl.Series("ref", ref))
    path = write(tmp_path / "t.tsv", wrong)
    text = error_of(model, fasta, path)
    assert f"t.tsv, line 5: REF differs at chr1:{table['pos'][3]}: the file has {ref[3]}" in text
    report = benchmark_variants(model, Measurements(path, ref_mismatch="skip"), fasta, bootstrap=0)
    assert report.rejected["reason"].to_list() == ["ref-mismatch"]
    assert report.counts["compared"] == 39


def test_groups_without_controls_are_errors(model, fasta, contig):
    table = table_of(
        contig,
        label=[int(i % 4 == 0) for i in range(40)],
        match_group=[f"g{i // 4}" for i in range(40)],
    )
    alone = table.with_columns(
        pl.when(pl.col("match_group") == "g3").then(1).otherwise(pl.col("label")).alias("label")
    )
    text = error_of(model, fasta, alone)
    assert "1 of 10 matched groups have no control; the first is 'g3'" in text
    empty = table.with_columns(
        pl.when(pl.col("match_group") == "g3").then(0).otherwise(pl.col("label")).alias("label")
    )
    assert "matched groups have no variant with an effect" in error_of(model, fasta, empty)
    text = error_of(model, fasta, table.drop("label").with_columns(effect=pl.Series(range(40))))
    assert "matched groups, but no labels" in text
    names = [f"n{i}" for i in range(40)]
    unmatched = table.drop("match_group").with_columns(pl.Series("name", names))
    assert "no variant with an effect has a matched control" in error_of(
        model, fasta, unmatched, match=("name",)
    )


def test_rows_that_contradict_each_other_are_errors(model, fasta, contig, tmp_path):
    table = table_of(contig, effect=np.arange(40.0), gene=["a"] * 40)
    again = table.row(2, named=True) | {"effect": 5.5}
    path = write(tmp_path / "t.tsv", pl.concat([table, pl.DataFrame([again])]))
    text = error_of(model, fasta, path)
    assert "t.tsv, line 42: the variant has other measured values than in line 4" in text
    other = pl.concat([table, pl.DataFrame([again | {"gene": "b"}])])
    assert benchmark_variants(model, other, fasta, bootstrap=0).counts["compared"] == 41
    several = table.with_columns(
        pl.when(pl.int_range(40) == 1).then(pl.lit("A,C,G,T")).otherwise("alt").alias("alt")
    )
    assert "several alternate alleles and one measured" in error_of(model, fasta, several)


def test_vcf_is_refused(model, fasta, contig, tmp_path):
    path = tmp_path / "t.vcf"
    path.write_text("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\nchr1\t30\t.\tA\tC\n")
    assert "is a VCF or BCF, which has no columns" in error_of(model, fasta, path)


def test_the_bootstrap_draws_neighbours_and_whole_groups(model, fasta, contig):
    table = table_of(contig, effect=np.arange(40.0))
    first = benchmark_variants(model, table, fasta, bootstrap=30, seed=1)
    assert first.table.equals(benchmark_variants(model, table, fasta, bootstrap=30, seed=1).table)
    other = benchmark_variants(model, table, fasta, bootstrap=30, seed=2)
    assert metric(first, "G", "spearman_size") == metric(other, "G", "spearman_size")
    assert metric(first, "G", "spearman_size_low") != metric(other, "G", "spearman_size_low")
    assert "40 blocks of neighbouring variants" in first.provenance["intervals"]
    group = table.with_columns(
        pl.Series("label", [1, 0] * 20), pl.Series("match_group", [f"g{i // 2}" for i in range(40)])
    )
    grouped = benchmark_variants(model, group, fasta, bootstrap=30)
    assert "20 blocks of neighbouring variants" in grouped.provenance["intervals"]
    with pytest.raises(InputError, match="bootstrap is 1, the minimum is 2"):
        benchmark_variants(model, table, fasta, bootstrap=1)


def test_differences_are_paired(small_model, fasta, contig):
    table = table_of(contig, label=[int(i % 3 == 0) for i in range(40)])
    report = benchmark_variants(small_model(), table, fasta, bootstrap=50)
    for row in report.table.iter_rows(named=True):
        expected = metric(report, "logit_max", "auroc") - row["auroc"]
        assert row["difference"] == pytest.approx(expected)
        assert row["difference_low"] <= row["difference"] <= row["difference_high"]
    own = report.table.filter(pl.col("name") == "logit_max")
    assert own.select("difference", "difference_low", "difference_high").row(0) == (0, 0, 0)


def test_the_summary_shows_metrics_and_limits(model, fasta, contig):
    table = table_of(contig, label=[int(i < 4) for i in range(40)])
    text = benchmark_variants(model, table, fasta, bootstrap=10).describe()
    assert "rows 40, compared 40, left out 0, label 1 4, label 0 36" in text
    assert "only 4 variants in the smaller class" in text
    assert "average precision 0.100" in text
    assert "logit_max" in text


def test_a_table_may_not_be_too_long(model, fasta, contig, tmp_path, monkeypatch):
    monkeypatch.setattr("danq.inference.variant_benchmark.read_table.MOST_ROWS", 39)
    table = table_of(contig, effect=np.arange(40.0))
    assert "the table: has more than 39 rows" in error_of(model, fasta, table)
    path = write(tmp_path / "t.tsv", table)
    assert "t.tsv: has more than 39 rows" in error_of(model, fasta, path)
    module = "danq.inference.variant_benchmark.benchmark_variants.MOST_VALUES"
    monkeypatch.setattr(module, 100)
    text = error_of(model, fasta, table.head(39))
    assert "39 variants and 3 tracks are more than 100 values" in text


def test_simulated_variants_with_known_effects(small_model, tmp_path):
    truth = danq.simulate(
        tmp_path / "sim", genome_size=60_000, contigs=3, tracks=["REST"], variants=80
    )
    table = pl.DataFrame(
        {
            "chrom": [one.contig for one in truth.variants],
            "pos": [one.pos for one in truth.variants],
            "ref": [one.ref for one in truth.variants],
            "alt": [one.alt for one in truth.variants],
            "effect": [one.effect["REST"] for one in truth.variants],
            "functional": [one.kind in ("breaking", "releasing") for one in truth.variants],
            "kind": [one.kind == "indel" for one in truth.variants],
        }
    )
    genome, model = tmp_path / "sim" / "genome.fa", small_model(tracks=("REST", "SP1"))
    columns = Measurements(table, strata=["kind"])
    report = benchmark_variants(model, columns, genome, bootstrap=10)
    predicted = danq.score_variants(model, danq.Variants(table), genome).track("REST_logit")
    label, effect = table["functional"].to_numpy(), table["effect"].to_numpy()
    size = np.abs(predicted.astype(float))
    assert report.counts["compared"] == len(truth.variants) > 70
    assert metric(report, "REST", "auroc") == pytest.approx(roc_auc_score(label, size))
    assert metric(report, "REST", "ap") == pytest.approx(average_precision_score(label, size))
    assert metric(report, "REST", "spearman_signed") == pytest.approx(rho(predicted, effect))
    same = np.sign(predicted) == np.sign(effect)
    expected = np.where(predicted == 0, 0.5, same)[effect != 0].mean()
    assert metric(report, "REST", "sign_agreement") == pytest.approx(expected)
    # Indels have no functional ones, so only the other stratum counts.
    own = ~table["kind"].to_numpy()
    expected = roc_auc_score(label[own], size[own])
    assert metric(report, "REST", "strata_auroc") == pytest.approx(expected)
