"""Classification of variants: features with and without a signal, and files of every format."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from danq.amounts import AmountUnit
from danq.errors import InputError
from danq.inference.writers.open_output import find_output
from danq.inference.writers.variant_layout import VariantLayout
from danq.interpretation.variant_classification.classify_variants import (
    classify_variants,
    write_variant_classes,
)
from danq.interpretation.variant_classification.cross_validation import cross_validate
from danq.interpretation.variant_classification.effect_features import (
    add_columns,
    read_effects,
    read_table,
)
from danq_cli.main import run
from tests.reseal import reseal_hdf5

TRACKS = ("Reb1", "Abf1_x", "DNase")


def variants(count: int, first: int = 1) -> pl.DataFrame:
    numbers = np.arange(first, first + count)
    return pl.DataFrame(
        {
            "record": numbers,
            "allele": np.ones(count, np.int64),
            "chrom": [f"chr{n % 6}" for n in numbers],
            "pos": 100 * numbers,
            "id": [f"rs{n}" for n in numbers],
            "ref": ["A"] * count,
            "alt": ["C", "GT"] * (count // 2) + ["C"] * (count % 2),
            "flags": ["."] * count,
        }
    )


def write(
    path: Path,
    rows: pl.DataFrame,
    logit: np.ndarray,
    scores=("diff", "logit"),
    tracks=TRACKS,
    provenance=None,
    units=(),
) -> Path:
    """An output of `danq variants`, made by its own writers; diff is a tenth of logit."""
    layout = VariantLayout(
        tracks=tracks,
        groups=("",) * len(tracks),
        scores=tuple(scores),
        provenance=provenance or {},
        units=units,
    )
    by_name = {"diff": logit / 10, "logit": logit, "alt": np.abs(logit)}
    extra = np.zeros((len(logit), len(layout.summaries)))
    values = np.hstack([*(by_name[name] for name in scores), extra]).astype(np.float32)
    with find_output(path, VariantLayout).open(layout) as writer:
        writer.write(rows[:5], values[:5])
        writer.write(rows[5:], values[5:])
    return path


def functional_and_other(folder: Path, shift: float, count: int = 150) -> list[Path]:
    """Functional variants, whose effects on Reb1 are larger by ``shift``, and other variants."""
    rng = np.random.default_rng(0)
    strong = rng.normal(0, 1, (count, 3))
    strong[:, 0] += shift * rng.choice([-1, 1], count)
    weak = rng.normal(0, 1, (count, 3))
    return [
        write(folder / "functional.h5", variants(count), strong),
        write(folder / "other.tsv.gz", variants(count, 1000), weak),
    ]


@pytest.mark.parametrize("name", ["a.h5", "a.tsv", "a.tsv.gz", "a.parquet"])
def test_every_output_format_gives_the_same_features(tmp_path: Path, name):
    logit = np.random.default_rng(1).normal(0, 2, (12, 3)).astype(np.float32)
    path = write(tmp_path / name, variants(12), logit, ("alt", "diff", "logit"))
    features = read_effects(path)
    assert features.names[:4] == ("Reb1_logit", "Abf1_x_logit", "DNase_logit", "Reb1_diff")
    np.testing.assert_allclose(features.values[:, :3], np.abs(logit))
    np.testing.assert_allclose(features.values[:, 3:], np.abs(logit) / 10, rtol=1e-6)
    assert features.variants.columns == ["chrom", "pos", "id", "ref", "alt"]
    assert features.variants.row(1) == ("chr2", 200, "rs2", "A", "GT")


@pytest.mark.parametrize("name", ["a.h5", "a.tsv", "a.parquet"])
def test_tracks_of_amounts_have_fold_changes_as_features(tmp_path: Path, name):
    logit = np.random.default_rng(1).normal(0, 2, (12, 3)).astype(np.float32)
    units = (AmountUnit(unit="reads"), None, AmountUnit())
    path = write(tmp_path / name, variants(12), logit, ("logit", "diff"), units=units)
    features = read_effects(path)
    expected = ["Reb1_log2fc", "Abf1_x_logit", "DNase_log2fc"]
    assert features.names == (*expected, *(f"{track}_diff" for track in TRACKS))
    np.testing.assert_allclose(features.values[:, :3], np.abs(logit))
    np.testing.assert_allclose(features.values[:, 3:], np.abs(logit) / 10, rtol=1e-6)


def test_an_unknown_kind_of_track_is_refused(tmp_path: Path):
    path = write(tmp_path / "a.h5", variants(12), np.ones((12, 3)))
    with h5py.File(path, "r+") as file:
        file["tracks/kind"][1] = 2
    reseal_hdf5(path)
    with pytest.raises(InputError, match="'tracks/kind' does not hold the kinds of the tracks"):
        read_effects(path)


def test_a_signal_is_learned_and_each_variant_is_held_out_once(tmp_path: Path):
    report = classify_variants(functional_and_other(tmp_path, 4.0), folds=5)
    write_variant_classes(report, tmp_path / "out.tsv")
    assert report.result.pooled_auroc > 0.95
    table = pl.read_csv(tmp_path / "out.tsv", separator="\t", comment_prefix="#")
    assert table.height == 300
    assert table["label"].to_list() == [1] * 150 + [0] * 150
    assert table.group_by("chrom").agg(pl.col("fold").n_unique())["fold"].to_list() == [1] * 6
    assert sorted(set(table["fold"])) == [1, 2, 3, 4, 5]
    for row in report.folds.iter_rows(named=True):
        part = table.filter(pl.col("fold") == row["fold"])
        assert (row["variants"], row["functional"]) == (part.height, part["label"].sum())
        assert row["auroc"] == pytest.approx(roc_auc_score(part["label"], part["probability"]))
        aupr = average_precision_score(part["label"], part["probability"])
        assert row["aupr"] == pytest.approx(aupr)
    assert report.folds["auroc"].mean() > 0.95  # type: ignore[operator]
    assert "base rate 0.5000" in report.describe()


def test_the_sign_of_a_change_does_not_matter(tmp_path: Path):
    """Functional effects have both signs and differ from the others in size only."""
    rng = np.random.default_rng(3)
    strong = 3 * rng.choice([-1, 1], (100, 3)) + rng.normal(0, 0.1, (100, 3))
    paths = [
        write(tmp_path / "a.h5", variants(100), strong),
        write(tmp_path / "b.h5", variants(100, 500), rng.normal(0, 1, (100, 3))),
    ]
    assert classify_variants(paths, folds=3).result.pooled_auroc > 0.95


@pytest.mark.parametrize("groups", ["chrom", "none"])
def test_without_a_signal_the_metrics_are_those_of_chance(groups):
    rng = np.random.default_rng(2)
    values = rng.normal(0, 1, (1200, 4)).astype(np.float32)
    labels = (rng.random(1200) < 0.3).astype(np.uint8)
    found = cross_validate(
        values, labels, [f"chr{n}" for n in rng.integers(0, 20, 1200)], folds=3, groups=groups
    )
    # Over seeds the AUROC of 1,200 variants without a signal has mean .50 and sd .03.
    assert abs(found.pooled_auroc - 0.5) < 0.09
    assert abs(found.pooled_aupr - found.base_rate) < 0.08
    assert abs(np.mean(found.auroc) - 0.5) < 0.09


def test_groups_by_contig_prevent_leakage():
    """Features that identify the contig predict labels on the same contig only."""
    rng = np.random.default_rng(5)
    contig = np.repeat(np.arange(30), 20)
    labels = np.repeat(rng.permutation([0, 1] * 15), 20).astype(np.uint8)
    values = np.stack([np.repeat(rng.normal(0, 1, 30), 20) for _ in range(4)], 1).astype(np.float32)
    chroms = [f"chr{n}" for n in contig]
    ungrouped = cross_validate(values, labels, chroms, folds=5, groups="none")
    grouped = cross_validate(values, labels, chroms, folds=5, groups="chrom")
    assert ungrouped.pooled_auroc > 0.99
    assert grouped.pooled_auroc < 0.8


def test_the_same_seed_gives_the_same_result(tmp_path: Path):
    paths = functional_and_other(tmp_path, 1.0)
    same = [classify_variants(paths, folds=3, seed=7).result.probability for _ in range(2)]
    np.testing.assert_array_equal(*same)
    other = classify_variants(paths, folds=3, seed=8).result.fold
    assert (other != classify_variants(paths, folds=3, seed=7).result.fold).any()


def test_conservation_columns_are_features_and_may_have_missing_values(tmp_path: Path):
    rng = np.random.default_rng(4)
    rows = pl.concat([variants(150), variants(150, 1000)])
    paths = [
        write(tmp_path / "a.h5", variants(150), rng.normal(0, 1, (150, 3))),
        write(tmp_path / "b.h5", variants(150, 1000), rng.normal(0, 1, (150, 3))),
    ]
    scores = rows.select("chrom", "pos", "ref", "alt").with_columns(
        phylop=pl.Series(np.repeat([-2.0, 1.0], 150) + rng.normal(0, 0.3, 300))
    )
    scores.sample(250, seed=1).write_csv(tmp_path / "phylop.tsv", separator="\t")
    plain = classify_variants(paths, folds=3)
    better = classify_variants(paths, folds=3, conservation=[tmp_path / "phylop.tsv"])
    assert plain.result.pooled_auroc < 0.65
    assert better.result.pooled_auroc > 0.9
    assert (plain.provenance["features"], better.provenance["features"]) == (6, 7)


def test_unknown_conservation_may_be_written_in_every_usual_way(tmp_path: Path):
    features = read_effects(write(tmp_path / "a.h5", variants(11), np.ones((11, 3))))
    keys = variants(11).select("chrom", "pos", "ref", "alt")
    words = ["NA", ".", "nan", "", "NaN", "n/a", "null", "None", "<NA>", "NULL", "2.5"]
    path = tmp_path / "extra.tsv"
    keys.with_columns(x=pl.Series(words), y=pl.Series([""] * 11)).write_csv(
        path, separator="\t", quote_style="never"
    )
    (found,) = add_columns([features], read_table(path, "chrom"), path)
    np.testing.assert_array_equal(found.values[:, -2], [np.nan] * 10 + [2.5])
    assert np.isnan(found.values[:, -1]).all()
    assert found.values.dtype == np.float32


def test_labels_for_one_file_and_further_variants(tmp_path: Path, capsys):
    rng = np.random.default_rng(6)
    marks = np.arange(200) % 2
    effects = rng.normal(0, 0.5, (200, 3)) + 4 * marks[:, None]
    scored = write(tmp_path / "all.parquet", variants(200), effects)
    new = write(
        tmp_path / "new.h5", variants(20, 900), np.repeat([[4.0], [0.1]], 10, 0) * [1, 1, 1]
    )
    labels = tmp_path / "labels.tsv"
    lines = [f"rs{n}\t{mark}" for n, mark in zip(range(1, 181), marks, strict=False)]
    labels.write_text("# comment\nid\tlabel\n" + "\n".join(lines) + "\n")
    out, applied = tmp_path / "out.tsv", tmp_path / "applied.tsv"
    words = ["classify-variants", str(scored), "--labels", str(labels), "--out", str(out)]
    words += ["--folds", "3", "--groups", "none", "--apply", str(new), str(applied)]
    assert run(words) == 0
    shown = capsys.readouterr()
    assert "left out 20 variants without a label" in shown.err
    assert "AUROC 1.0000" in shown.out
    assert pl.read_csv(out, separator="\t", comment_prefix="#").height == 180
    table = pl.read_csv(applied, separator="\t", comment_prefix="#")
    assert (table["probability"][:10] > 0.9).all()
    assert (table["probability"][10:] < 0.1).all()
    assert f"# applied_to: {new}" in applied.read_text()
    assert run(words) == 2
    assert "exists already" in capsys.readouterr().err
    assert run([*words, "--overwrite"]) == 0


def test_both_outputs_have_different_names(tmp_path: Path, capsys):
    paths = functional_and_other(tmp_path, 1.0, 20)
    out = str(tmp_path / "out.tsv")
    words = ["classify-variants", *map(str, paths), "--apply", str(paths[0]), out, "--out", out]
    assert run(words) == 2
    assert "name the same output" in capsys.readouterr().err
    report = classify_variants(paths, folds=2, apply=paths[0])
    with pytest.raises(InputError, match="is named twice"):
        write_variant_classes(report, out, applied=out, overwrite=True)
    assert not Path(out).exists()


@pytest.mark.parametrize("names", [("a.h5", "b.parquet"), ("a.tsv", "b.h5"), ("a.tsv.gz", "b.tsv")])
def test_files_that_were_not_scored_alike_give_a_warning(tmp_path: Path, names, caplog):
    logit = np.random.default_rng(2).normal(0, 1, (20, 3))
    alike = {"model": "a.safetensors sha256:0a", "genome": "a.fa sha256:1b", "strand": "both"}
    moved = alike | {"model": "other/name sha256:0a", "precision": "bf16"}
    changed = alike | {"genome": "a.fa sha256:2c", "strand": "forward"}
    first = write(tmp_path / names[0], variants(20), logit, provenance=alike)
    for provenance, warned in ((moved, False), (changed, True)):
        second = write(tmp_path / names[1], variants(20, 1000), logit, provenance=provenance)
        classify_variants([first, second], folds=2)
        assert ("were not scored alike" in caplog.text) == warned
        second.unlink()
    assert "genome (a.fa sha256:1b, a.fa sha256:2c); strand (both, forward)" in caplog.text


def test_two_kinds_of_effects_of_one_track_are_refused(tmp_path: Path):
    path = write(tmp_path / "a.parquet", variants(9), np.ones((9, 3)), ("logit", "diff"))
    table = pl.read_parquet(path)
    table.with_columns(pl.col("Reb1_logit").alias("Reb1_log2fc")).write_parquet(path)
    with pytest.raises(
        InputError, match="two columns of effects of one track, 'Reb1_logit' and 'Reb1_log2fc'"
    ):
        read_effects(path)


def test_bad_files_are_refused(tmp_path: Path):
    good = write(tmp_path / "good.h5", variants(30), np.ones((30, 3)))
    one = write(tmp_path / "one.tsv", variants(9), np.ones((9, 3)), ("logit",))
    with pytest.raises(
        InputError, match="lacks columns of variant effects.*scores logit .or log2fc. and diff"
    ):
        read_effects(one)
    half = write(tmp_path / "half.h5", variants(9), np.ones((9, 3)), ("logit",))
    with pytest.raises(InputError, match="lacks the score diff"):
        read_effects(half)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file.attrs["magic"] = "danq-background"
    with pytest.raises(InputError, match="without the checksum.*Give variants that danq scored"):
        read_effects(tmp_path / "other.h5")
    with_nan = np.ones((9, 3))
    with_nan[3, 1] = np.nan
    nan = write(tmp_path / "nan.tsv", variants(9), with_nan)
    with pytest.raises(InputError, match="1 of 9 variants .* not a finite number") as caught:
        read_effects(nan)
    assert caught.value.record == "rs4"
    truncated = tmp_path / "cut.h5"
    truncated.write_bytes(good.read_bytes()[:-4000])
    with pytest.raises(InputError, match="cut.h5: the file is truncated"):
        read_effects(truncated)
    for name, text in (("empty.tsv", ""), ("text.tsv", "hello\n"), ("cut.parquet", "PAR1xxx")):
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError):
            read_effects(tmp_path / name)
    with pytest.raises(InputError, match="no such file"):
        read_effects(tmp_path / "none.h5")


def test_conflicting_variants_are_refused(tmp_path: Path):
    a = write(tmp_path / "a.h5", variants(30), np.ones((30, 3)))
    b = write(tmp_path / "b.h5", variants(30, 29), np.ones((30, 3)))
    with pytest.raises(InputError, match="2 variants are also in") as caught:
        classify_variants([a, b])
    assert caught.value.record == "chr5 2900 A C"
    twice = write(tmp_path / "twice.h5", variants(30)[[0, *range(30)]], np.ones((31, 3)))
    other = write(tmp_path / "other.h5", variants(30, 500), np.ones((30, 3)))
    with pytest.raises(InputError, match="2 rows name a variant"):
        classify_variants([other, twice])
    other_tracks = write(tmp_path / "f.h5", variants(30, 500), np.ones((30, 2)), tracks=("x", "y"))
    with pytest.raises(InputError, match="its tracks differ from those of"):
        classify_variants([a, other_tracks])


def test_settings_with_too_few_variants_are_refused(tmp_path: Path):
    a = write(tmp_path / "a.h5", variants(30), np.ones((30, 3)))
    b = write(tmp_path / "b.h5", variants(30, 100), np.ones((30, 3)))
    with pytest.raises(InputError, match="on 6 contigs, too few for 10 folds.*at most 6"):
        classify_variants([a, b])
    with pytest.raises(InputError, match="1 file of variant effects without labels"):
        classify_variants(a)
    few = write(tmp_path / "few.h5", variants(6, 500)[[0]], np.ones((1, 3)))
    with pytest.raises(InputError, match="1 other variants are too few for 3 folds"):
        classify_variants([a, few], folds=3, groups="none")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("id\tlabel\nrs1\t2\n", "a label is '2', not 0 or 1"),
        ("id\tlabel\nrs1\t1\nrs1\t0\n", "labels a variant twice"),
        ("id\tmark\nrs1\t1\n", "has no column 'label'"),
        ("name\tlabel\nrs1\t1\n", "has neither the columns chrom, pos, ref, alt nor id"),
        ("id\tlabel\nrs9999\t1\n", "has none of the variants of"),
    ],
)
def test_bad_labels_are_refused(tmp_path: Path, text, problem):
    a = write(tmp_path / "a.h5", variants(30), np.ones((30, 3)))
    (tmp_path / "labels.tsv").write_text(text)
    with pytest.raises(InputError, match=problem):
        classify_variants(a, labels=tmp_path / "labels.tsv", folds=2)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("chrom\tpos\tref\talt\n1\t1\tA\tC\n", "has no numeric column"),
        (
            "chrom\tpos\tref\talt\tx\nchr1\t100\tA\tC\thigh\n",
            "'x' has a value that is not a number",
        ),
        ("chrom\tpos\tref\talt\tx\nchr1\t100\tA\tC\tinf\n", "chr1 100 A C': .*infinite"),
        ("chrom\tpos\tref\talt\tx\nchr1\t100\tA\tC\t-9e99\n", "chr1 100 A C': .*infinite"),
        ("chrom\tpos\tref\talt\tx\nchr1\t101\tA\tC\t1\n", "has none of the variants"),
        ("chrom\tpos\tref\tx\nchr1\t101\tA\t1\n", "has no column 'alt'"),
        ("chrom\tpos\tref\talt\tx\n" + "chr1\t100\tA\tC\t1\n" * 2, "2 rows name a variant"),
    ],
)
def test_bad_conservation_is_refused(tmp_path: Path, text, problem):
    paths = functional_and_other(tmp_path, 1.0, 20)
    (tmp_path / "extra.tsv").write_text(text)
    with pytest.raises(InputError, match=problem):
        classify_variants(paths, folds=2, conservation=[tmp_path / "extra.tsv"])


def test_classes_of_further_variants_are_written_only_if_there_are_any(tmp_path: Path):
    report = classify_variants(functional_and_other(tmp_path, 1.0, 20), folds=2)
    with pytest.raises(InputError, match="not applied to further variants"):
        write_variant_classes(report, tmp_path / "out.tsv", applied=tmp_path / "applied.tsv")
    assert not (tmp_path / "out.tsv").exists()


def test_a_feature_that_is_unknown_for_all_variants_has_no_effect():
    rng = np.random.default_rng(0)
    known = rng.normal(size=(40, 3)).astype(np.float32)
    labels = (np.arange(40) % 2).astype(np.uint8)
    both = np.concatenate([known, np.full((40, 1), np.nan, np.float32)], axis=1)
    one, other = (
        cross_validate(features, labels, ["chr1"] * 40, folds=2, groups="none")
        for features in (known, both)
    )
    np.testing.assert_array_equal(one.probability, other.probability)
