"""Tables of sequences: formats, recognised columns, and what is refused or counted."""

from __future__ import annotations

import gzip
import logging
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from danq.datasets.sequence_table import TableColumns, read_sequence_table
from danq.errors import InputError
from danq.genome import encode

A, B, C = "ACGTACGTACGT", "GGGGCCCCAAAA", "TTTTTTTTTTTTTT"


def table(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def frame() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    rows = 40
    sequences = ["".join(rng.choice(list("ACGT"), rng.integers(20, 31))) for _ in range(rows)]
    return pl.DataFrame(
        {
            "name": [f"p{i}" for i in range(rows)],
            "sequence": sequences,
            "expression": rng.normal(size=rows),
            "other": [None if i % 7 == 0 else float(i) for i in range(rows)],
            "split": [("train", "valid", "test")[i % 3] for i in range(rows)],
            "weight": rng.random(rows),
            "fold": [f"f{i % 4}" for i in range(rows)],
        }
    )


@pytest.mark.parametrize("form", ["tsv", "csv", "csv;", "tsv.gz", "parquet", "crlf"])
def test_every_format_gives_the_same_arrays(tmp_path, form):
    rows = frame()
    path = tmp_path / "table"
    separator = {"csv": ",", "csv;": ";"}.get(form, "\t")
    if form == "parquet":
        rows.write_parquet(path)
    else:
        text = rows.write_csv(separator=separator, null_value="NA", quote_style="non_numeric")
        text = text if form.startswith("csv") else text.replace('"', "")
        if form == "crlf":
            text = "\ufeff" + text.replace("\n", "\r\n")
        data = text.encode()
        if form.endswith("gz"):
            path = tmp_path / "table.tsv.gz"
            data = gzip.compress(data)
        path.write_bytes(data)
    found = read_sequence_table(path)
    assert found.tracks == ("expression", "other")
    wanted = rows.select("expression", "other").to_numpy().astype(np.float32)
    np.testing.assert_array_equal(found.values, wanted)
    assert found.split is not None
    assert found.split.tolist() == [i % 3 for i in range(40)]
    np.testing.assert_allclose(found.weights, rows["weight"].to_numpy(), rtol=1e-6)
    assert found.fold_names == ("f0", "f1", "f2", "f3")
    assert found.folds is not None
    assert found.folds.tolist() == [i % 4 for i in range(40)]
    longest = max(map(len, rows["sequence"]))
    assert found.codes.shape == (40, longest)
    for codes, length, text in zip(found.codes, found.lengths, rows["sequence"], strict=True):
        assert length == len(text)
        first = longest // 2 - length // 2
        np.testing.assert_array_equal(codes[first : first + length], encode(text))
        assert (codes[:first] == 4).all()
        assert (codes[first + length :] == 4).all()


def test_a_table_without_names_is_recognised(tmp_path, caplog):
    caplog.set_level(logging.INFO, "danq")
    found = read_sequence_table(table(tmp_path / "a.txt", f"{A}\t1.5\n{B}\t2\n"))
    assert found.values.tolist() == [[1.5], [2]]
    assert found.tracks == ("column_2",)
    assert "the first line has a sequence, so it does not name the columns" in caplog.text
    assert "sequences are in 'column_1', amounts in column_2" in caplog.text


def test_flanks_are_constant_or_columns(tmp_path):
    text = f"left\tseq\tvalue\nAC\t{A}\t1\n\t{B}\t2\n"
    path = table(tmp_path / "a.tsv", text)
    found = read_sequence_table(path, TableColumns(left_flank="left", right_flank="ttu"))
    assert found.tracks == ("value",)
    assert found.lengths.tolist() == [2 + 12 + 3, 12 + 3]
    np.testing.assert_array_equal(found.codes[0], encode(f"AC{A}TTT"))
    np.testing.assert_array_equal(found.codes[1], encode(f"N{B}TTTN"))
    with pytest.raises(InputError, match="the left flank 'lefd' is neither a column nor"):
        read_sequence_table(path, TableColumns(left_flank="lefd"))


def test_letters_of_any_case_and_ambiguity_codes(tmp_path, caplog):
    caplog.set_level(logging.INFO, "danq")
    path = table(tmp_path / "a.tsv", "seq\tvalue\nacguNRyk\t1\nACGT\t2\n")
    found = read_sequence_table(path, window=10)
    assert found.codes.tolist() == [
        [4, 0, 1, 2, 3, 4, 4, 4, 4, 4],
        [4] * 3 + [0, 1, 2, 3] + [4] * 3,
    ]
    assert "4 bases are N or another ambiguity code" in caplog.text
    assert "sequences have 4 to 8 bases; shorter ones are centred and padded with N" in caplog.text


def test_repeated_sequences_have_the_mean_of_their_amounts(tmp_path, caplog):
    caplog.set_level(logging.INFO, "danq")
    text = (
        f"seq\tx\ty\tweight\n{A}\t1\t\t1\n{B}\t5\t6\t2\n{A.lower()}\t4\t2\t3\n{A}\t\t4\t1\n"
        f"{C}\t7\t7\t0\n{C}\t9\t7\t0\n"
    )
    found = read_sequence_table(table(tmp_path / "a.tsv", text))
    np.testing.assert_allclose(
        found.values, [[(1 + 3 * 4) / 4, (3 * 2 + 4) / 4], [5, 6], [8, 7]], rtol=1e-6
    )
    np.testing.assert_allclose(found.weights, [5 / 3, 2, 0])
    assert found.decisions["rows that repeat a sequence"] == 3
    assert found.decisions["sequences with different amounts, of which the mean is used"] == 2
    assert "sequences with different amounts, of which the mean is used: 2" in caplog.text


def test_means_equal_those_of_polars(tmp_path):
    rng = np.random.default_rng(0)
    rows = pl.DataFrame(
        {
            "seq": [("A", "C", "G")[i] * 20 for i in rng.integers(0, 3, 60)],
            "x": np.where(rng.random(60) < 0.2, np.nan, rng.normal(size=60)),
        }
    )
    path = tmp_path / "a.tsv"
    rows.write_csv(path, separator="\t")
    wanted = rows.fill_nan(None).drop_nulls().group_by("seq", maintain_order=True).mean()
    found = read_sequence_table(path)
    np.testing.assert_allclose(found.values[:, 0], wanted["x"].to_numpy(), rtol=1e-6)


def test_rows_without_amounts_are_left_out_and_counted(tmp_path, caplog):
    caplog.set_level(logging.INFO, "danq")
    text = f"seq\tx\ty\tz\n{A}\tNA\t\tnan\n{B}\t1\t.\t3\n\t\t\t\n\n# comment\n{C}\n{A}A\t1\t2\t3\n"
    found = read_sequence_table(table(tmp_path / "a.tsv", text), TableColumns(values=("x", "y")))
    np.testing.assert_array_equal(found.values, [[1, np.nan], [1, 2]])
    assert found.decisions == {"empty rows": 1, "rows without any amount": 2}
    assert "empty rows: 1" in caplog.text
    assert "rows without any amount: 2" in caplog.text


def test_a_track_without_amounts_is_refused(tmp_path):
    path = table(tmp_path / "a.tsv", f"seq\tx\ty\n{A}\t1\tNA\n")
    assert read_sequence_table(path).tracks == ("x",)
    with pytest.raises(InputError, match="the column 'y' has no amount"):
        read_sequence_table(path, TableColumns(values=("x", "y")))


def test_separators_and_line_ends_inside_quotes_do_not_end_a_field(tmp_path):
    quoted = f'seq,x,name\n{A},1,"one, two"\n{B},2,"three"\n'
    assert read_sequence_table(table(tmp_path / "a.csv", quoted)).values.tolist() == [[1], [2]]
    lines = f'seq,x,name\n{A},1,"one\ntwo"\n{B},2,"three"\n'
    assert read_sequence_table(table(tmp_path / "b.csv", lines)).values.tolist() == [[1], [2]]


def test_constant_tracks_are_reported(tmp_path, caplog):
    read_sequence_table(table(tmp_path / "a.tsv", f"seq\tx\n{A}\t0\n{B}\t0\n"))
    assert "all amounts of 'x' are 0" in caplog.text


GOOD = f"seq\tx\tsplit\tweight\tfold\n{A}\t1\ttrain\t1\ta\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            GOOD + f"{B}\t1,5\ttest\t1\tb\n",
            r"line 3: the amount in 'x' is '1,5', not a number: it h",
        ),
        (GOOD + f"\n{B}\tabc\ttest\t1\tb\n", r"line 4: the amount in 'x' is 'abc', not a number"),
        (GOOD + f"{B}\tinf\ttest\t1\tb\n", r"line 3: the amount in 'x' is infinite"),
        (
            GOOD + f"{B}\t1\ttset\t1\tb\n",
            r"line 3: the split in 'split' is 'tset'. Write train, val",
        ),
        (GOOD + f"{B}\t1\t\t1\tb\n", r"line 3: the split in 'split' is ''"),
        (GOOD + f"{B}\t1\ttest\t-1\tb\n", r"line 3: the weight in 'weight' is -1, below 0"),
        (GOOD + f"{B}\t1\ttest\t\tb\n", r"line 3: the weight in 'weight' is missing"),
        (GOOD + f"{B}\t1\ttest\t1\t\n", r"line 3: the name of the fold '' in 'fold' is empty"),
        (GOOD + f"{B}-\t1\ttest\t1\tb\n", r"line 3: '-' at position 13 is not a DNA letter"),
        (GOOD + f"{A}é\t1\ttest\t1\tb\n", r"line 3: 'É' at position 13 is not a DNA letter"),
        (GOOD + "\t1\ttest\t1\tb\n", r"line 3: 1 rows have no sequence"),
        (GOOD + f"{A}\t2\ttest\t1\ta\n", r"a sequence has the splits 'train' and 'test' \(ACGT"),
        (GOOD + f"{A}\t2\ttrain\t1\tb\n", r"a sequence has the folds 'a' and 'b'"),
        (GOOD + f"{B}\t1\ttest\t1\tb\t5\n", r"line 3: the line has 6 fields, but the first line h"),
        (
            GOOD + f"{B}\t1\ttest\n",
            r"line 3: the line has 3 fields, but the first line has 5. Write NA",
        ),
        (
            f'seq\tx\ty\tname\n"{A}"\t1\t2\t"one\tname"\n"{B}"\t1\t"2"\n',
            r"line 3: the line has 3 fields, but the first line has 4",
        ),
        (f"# a\n\nseq,x,y\n{A},1\n{B},1,5\n", r"line 4: the line has 2 fields, but the first line"),
        (
            GOOD + f"{B}\t1e39\ttest\t1\tb\n",
            r"line 3: the amount in 'x' is 1e\+39, too large for fl",
        ),
        (GOOD + f"{B}\t1\ttest\t1e39\tb\n", r"line 3: the weight in 'weight' is 1e\+39, too large"),
        (
            f"seq,x\n{A},1\n{B},1,5\n",
            r"line 3: the line has 3 fields, but the first line has 2.*poi",
        ),
        (
            f"seq;x\n{A};1\n{B};1,5\n",
            r"line 3: the amount in 'x' is '1,5', not a number: it has a d",
        ),
        (f"seq\tx\n{A}\tNA\n", r"has no column of numbers"),
        (f"seq\tx\tx\n{A}\t1\t1\n", r"line 1: two columns are named 'x'"),
        (f"seq\t\n{A}\t1\n", r"line 1: a column has no name"),
        (f"seq\tname\n{A}\tone\n", r"has no column of numbers"),
        (f"a\tb\tx\n{A}\t{B}\t1\n", r"has 2 columns of DNA \(a, b\)"),
        ("a\tb\n1\t2\n", r"has 0 columns of DNA \(a, b\)"),
        ("seq\tx\n", r"has no row of a sequence"),
        ("# only\n", r"holds no row"),
        (f"seq\tx\tweight\n{A}\t1\t0\n", r"all weights in 'weight' are 0"),
    ],
)
def test_bad_tables_are_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_sequence_table(table(tmp_path / "a.tsv", text))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (TableColumns(sequence="promoter"), r"has no column 'promoter'. Its columns are seq, x"),
        (TableColumns(values=("y",)), r"has no column 'y'"),
        (TableColumns(values=("x", "y")), r"has no column 'y'"),
        (TableColumns(values=("x", "x")), r"the column 'x' has two uses"),
        (TableColumns(values=("x",), weight="x"), r"the column 'x' has two uses"),
        (TableColumns(values=("fold",), fold="x"), r"the amount in 'fold' is 'a', not a number"),
    ],
)
def test_bad_columns_are_refused(tmp_path, columns, message):
    with pytest.raises(InputError, match=message):
        read_sequence_table(table(tmp_path / "a.tsv", GOOD), columns)


def test_sequences_longer_than_the_window_are_refused(tmp_path):
    path = table(tmp_path / "a.tsv", f"seq\tx\n{A}\t1\n{C}\t2\n")
    with pytest.raises(InputError, match="1 sequences are longer than 12 bases; the longest"):
        read_sequence_table(path, window=12)


def test_parquet_with_other_types_is_refused(tmp_path):
    path = tmp_path / "a.parquet"
    pl.DataFrame({"seq": [A], "x": [[1.0]]}).write_parquet(path)
    with pytest.raises(InputError, match=r"the column 'x' has the type List\(Float64\), not n"):
        read_sequence_table(path, TableColumns(values=("x",)))
    pl.DataFrame({"seq": [5], "x": [1.0]}).write_parquet(path)
    with pytest.raises(InputError, match="the column 'seq' is not text"):
        read_sequence_table(path)
    pl.DataFrame({"seq": [A, B], "x": [1.0, np.inf]}).write_parquet(path)
    with pytest.raises(InputError, match=r"record 'row 2': the amount in 'x' is infinite"):
        read_sequence_table(path)
    path.write_bytes(b"PAR1" + bytes(40))
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        read_sequence_table(path)
