"""Labels and values that match no scored variant are counted; names and alleles are compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from danq.errors import InputError
from danq.inference.writers.open_output import find_output
from danq.inference.writers.variant_layout import VariantLayout
from danq.interpretation.variant_classification.classify_variants import (
    classify_variants,
    write_variant_classes,
)
from danq.interpretation.variant_classification.effect_features import read_table
from danq.interpretation.variant_classification.match_variants import match_rows

COUNT = 60


def scored(path: Path, first: int = 0, prefix: str = "chr") -> Path:
    """Effects of COUNT variants on six contigs; those with an even number are large."""
    numbers = np.arange(first, first + COUNT)
    rows = pl.DataFrame(
        {
            "record": numbers + 1,
            "allele": np.ones(COUNT, np.int64),
            "chrom": [f"{prefix}{n % 6 + 1}" for n in numbers],
            "pos": 100 * numbers + 100,
            "id": [f"rs{n}" for n in numbers],
            "ref": ["A"] * COUNT,
            "alt": ["C", "GT"] * (COUNT // 2),
            "flags": ["."] * COUNT,
        }
    )
    layout = VariantLayout(tracks=("Reb1",), groups=("",), scores=("diff", "logit"))
    values = np.zeros((COUNT, len(layout.columns)), np.float32)
    values[:, :2] = (np.arange(COUNT) // 6 % 2)[:, None] + 0.1
    with find_output(path, VariantLayout).open(layout) as writer:
        writer.write(rows, values)
    return path


def table(path: Path, rows: list[tuple], header: str = "chrom\tpos\tref\talt\tlabel") -> Path:
    text = "".join("\t".join(map(str, row)) + "\n" for row in [(header,), *rows])
    path.write_text(text)
    return path


def labels(prefix: str = "chr", count: int = COUNT) -> list[tuple]:
    return [
        (f"{prefix}{n % 6 + 1}", 100 * n + 100, "A", ("C", "GT")[n % 2], n // 6 % 2)
        for n in range(count)
    ]


def test_both_directions_are_counted_and_written(tmp_path, caplog, capsys):
    effects = scored(tmp_path / "a.h5")
    rows = labels(count=55)
    rows += [
        ("chr9", 5, "A", "C", 1),
        ("chr2", 200, "GT", "A", 1),
        ("chr3", 299, "A", "C", 0),
        ("chr1", 100, "A", "T", 0),
        ("chr1", 7, "A", "T", 0),
    ]
    path = table(tmp_path / "labels.tsv", rows)
    report = classify_variants(effects, labels=path, folds=2)
    unmatched = (
        f"5 of 60 rows of {path} match no scored variant (1 on contigs without scored variants, "
        "1 with REF and ALT exchanged, 1 with a position that is 0-based, 1 whose position has "
        "other alleles); the first is line 57"
    )
    assert report.notes == (unmatched, "left out 5 variants without a label")
    for note in report.notes:
        assert note in caplog.text
        assert note in report.describe()
    write_variant_classes(report, tmp_path / "out.tsv")
    assert unmatched in (tmp_path / "out.tsv").read_text()
    assert report.variants.height == 55
    assert report.variants["label"].to_list() == [row[4] for row in rows[:55]]


def test_a_complete_table_has_no_notes(tmp_path):
    path = table(tmp_path / "labels.tsv", labels())
    report = classify_variants(scored(tmp_path / "a.h5"), labels=path, folds=2)
    assert report.notes == ()
    assert report.provenance["without match"] is None


def test_contig_names_and_padded_alleles_are_compared(tmp_path, caplog):
    caplog.set_level("INFO", "danq")
    effects = scored(tmp_path / "a.h5")
    rows = [
        (chrom, pos - 1, f"g{ref.lower()}tt", f"G{alt}TT", label)
        for chrom, pos, ref, alt, label in labels("")
    ]
    path = table(tmp_path / "labels.tsv", rows, "#CHROM\tPOS\tREF\tALT\tLABEL")
    report = classify_variants(effects, labels=path, folds=2)
    assert report.notes == ()
    assert report.variants["label"].to_list() == [row[4] for row in rows]
    assert "matched 1 as chr1, 2 as chr2, 3 as chr3 and 3 more" in caplog.text


def test_values_without_a_variant_and_variants_without_a_value_are_counted(tmp_path, caplog):
    caplog.set_level("INFO", "danq")
    effects = [scored(tmp_path / "a.h5"), scored(tmp_path / "b.h5", 100)]
    new = scored(tmp_path / "new.h5", 40)
    rows = [(*row[:4], row[4] / 2) for row in labels()]
    path = table(tmp_path / "phylop.tsv", rows, "chrom\tpos\tref\talt\tphylop")
    report = classify_variants(effects, conservation=[path], folds=2, apply=new)
    notes = (
        f"60 of 120 variants are not in {path}; their values are unknown",
        f"40 of 60 variants of {new} are not in {path}; their values are unknown",
    )
    assert report.notes == notes
    assert all(note in caplog.text for note in report.notes)


def test_rows_of_conservation_may_match_either_file(tmp_path, caplog):
    caplog.set_level("INFO", "danq")
    effects = [scored(tmp_path / "a.h5"), scored(tmp_path / "b.h5", 100)]
    new = scored(tmp_path / "new.h5", 198, "")
    mine, theirs = labels(), [(chrom, pos + 19_800, *rest) for chrom, pos, *rest in labels()]
    none = [("chr1", 5, "A", "C", 1), ("chr9", 5, "A", "C", 1)]
    rows = [(*row[:4], number / 8) for number, row in enumerate([*mine, *theirs, *none])]
    path = table(tmp_path / "phylop.tsv", rows, "chrom\tpos\tref\talt\tphylop")
    report = classify_variants(effects, conservation=[path], folds=2, apply=new)
    assert report.notes == (
        f"2 of 122 rows of {path} match no scored variant (1 on contigs without scored variants); "
        "the first is line 122",
        f"60 of 120 variants are not in {path}; their values are unknown",
    )
    other = table(tmp_path / "other.tsv", rows[:60], "chrom\tpos\tref\talt\tphylop")
    with pytest.raises(InputError, match=f"has none of the variants of {new}"):
        classify_variants(effects, conservation=[other], folds=2, apply=new)


def test_two_files_with_other_contig_names_are_one_set_of_contigs(tmp_path):
    a = scored(tmp_path / "a.h5")
    report = classify_variants([a, scored(tmp_path / "b.h5", 100, "")], folds=3)
    folds = report.variants.with_columns(pl.col("chrom").str.strip_prefix("chr"))
    assert folds.group_by("chrom").agg(pl.col("fold").n_unique())["fold"].to_list() == [1] * 6
    with pytest.raises(InputError, match="20 variants are also in"):
        classify_variants([a, scored(tmp_path / "c.h5", 40, "")], folds=3)


@pytest.mark.parametrize(
    ("rows", "header", "problem"),
    [
        (
            [("chr1", 100, "A", "C", 1), ("1", 99, "GA", "GC", 1)],
            "chrom\tpos\tref\talt\tlabel",
            r"labels a variant twice \(lines 2 and 3\)",
        ),
        (
            [("rs1", 1), ("rs2", 0), ("rs1", 0)],
            "id\tlabel",
            r"labels a variant twice, with different labels \(lines 2 and 4\)",
        ),
        ([("rs1", 1), (".", 0)], "id\tlabel", "line 3: 1 rows have no id"),
        ([("rs1", 1), ("rs2", "yes")], "id\tlabel", "line 3.*a label is 'yes'"),
        ([("rs1", 1, 5)], "id\tlabel", "line 2: the row has 3 columns, the header has 2"),
        ([("rs1", 1, 0)], "id\tlabel\tlabel", "several columns named 'label'"),
        (
            [("chr1", "1e3", "A", "C", 1)],
            "chrom\tpos\tref\talt\tlabel",
            "line 2: the position '1e3' is not a whole number",
        ),
        (
            [("NC_1", 100, "A", "C", 1)],
            "chrom\tpos\tref\talt\tlabel",
            r"none of the variants of .*a.h5: its contigs are NC_1, those of the scored variants "
            r"chr1, chr2, chr3 and 3 more; 1 on contigs without scored variants. Use the 1-based",
        ),
        (
            [("chr1", 99, "A", "C", 1)],
            "chrom\tpos\tref\talt\tlabel",
            "1 with a position that is 0-based",
        ),
    ],
)
def test_bad_labels_name_their_lines(tmp_path, rows, header, problem):
    path = table(tmp_path / "labels.tsv", rows, header)
    with pytest.raises(InputError, match=problem):
        classify_variants(scored(tmp_path / "a.h5"), labels=path, folds=2)


def test_an_id_may_name_several_variants(tmp_path):
    variants = pl.DataFrame({"id": ["rs1", "rs1", "rs2"]})
    path = table(tmp_path / "labels.tsv", [("rs1", 1), ("rs3", 0)], "id\tlabel")
    found = match_rows(variants, read_table(path, "label"), path, ["id"])
    assert found.row.to_list() == [0, 0, None]
    assert found.note == f"1 of 2 rows of {path} match no scored variant; the first is line 3"


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbfid\tlabel\r\nrs1\t1\r\n",
        b"id\tlabel\rrs1\t1\r",
        b'# comment\n\n"id"\t"label"\n\n"rs1"\t1\t\n',
        b"#ID\tLabel\nrs1\t1\n",
    ],
)
def test_tables_are_read_as_all_text_is(tmp_path, data):
    path = tmp_path / "labels.tsv"
    path.write_bytes(data)
    found = read_table(path, "label")
    assert found.select("id", "label").rows() == [("rs1", "1")]
