from __future__ import annotations

import csv
import io
from datetime import date

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from danq.errors import InputError
from danq.files import separate_reader
from danq.files.data_frames import is_parquet, read_frame, read_parquet

NAME = (
    st.text("ab #\"',.", min_size=1).map(str.strip).filter(lambda name: name[:1] not in ("", "#"))
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(NAME, min_size=2, max_size=4, unique=True),
    st.lists(st.integers(-9, 9), min_size=1, max_size=4),
    st.sampled_from(["", "\t", "\t\t"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_tables_that_csv_writes_are_read_as_they_were(tmp_path, names, values, tail, end):
    rows = [["x", *[str(value)] * (len(names) - 1)] for value in values]
    text = io.StringIO()
    csv.writer(text, delimiter="\t", lineterminator="\n").writerows([names, *rows])
    lines = text.getvalue().removesuffix("\n").split("\n")
    path = tmp_path / "t.tsv"
    path.write_bytes((end.join(["# c", *(line + tail for line in lines), ""]) + end).encode())
    table = read_frame(path)
    assert table.columns == names
    assert table.rows() == [("x", *[value] * (len(names) - 1)) for value in values]


def test_missing_values_and_types_of_columns(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_text("a\tb\tc\n1\t\tx\n2\t3\n")
    table = read_frame(path, {"a": pl.String}.get)
    assert table.rows() == [("1", None, "x"), ("2", 3, None)]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("# only\n\n", "holds no line of column names"),
        ("a\ta\n1\t2\n", "two columns are named 'a'"),
        ("a\t\tb\n1\t2\t3\n", "a column has no name"),
        ("a,b\n1,2\n", "separated by commas, not tabs"),
        ("a\tb\n1\t2\t3\n", "cannot be read as a table|more fields than the 2 columns"),
        ("a\tb\t\n1\t2\t3\n", "more fields than the 2 columns"),
        ("a\tb\n1\tx\n", "cannot be read as a table"),
    ],
)
def test_bad_tables_are_refused(tmp_path, text, problem):
    path = tmp_path / "t.tsv"
    path.write_text(text)
    with pytest.raises(InputError, match=problem) as caught:
        read_frame(path, {"b": pl.Int64}.get)
    assert caught.value.file == str(path)
    assert caught.value.remedy


def test_blanks_around_fields_are_removed_before_types_are_inferred(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_text("id \t n\n a b \t1\nc\t 2 \n")
    assert read_frame(path).rows(named=True) == [{"id": "a b", "n": 1}, {"id": "c", "n": 2}]


def test_a_parquet_file_is_read_as_polars_reads_it(tmp_path):
    table = pl.DataFrame(
        {
            "a": pl.Series(["x", None, "y"], dtype=pl.Categorical),
            "b": [1.5, None, float("nan")],
            "c": [[1], [], [2, 3]],
            "d": [date(2026, 1, 2), None, date(1969, 1, 2)],
        }
    )
    table.write_parquet(tmp_path / "t.parquet")
    found = read_parquet(tmp_path / "t.parquet")
    assert found.schema == table.schema
    assert found.equals(pl.read_parquet(tmp_path / "t.parquet"))


def test_a_parquet_file_that_aborts_its_reader_is_refused(tmp_path, monkeypatch):
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "t.parquet")
    monkeypatch.setattr(separate_reader._kept, "idle", [])
    monkeypatch.setattr(separate_reader, "_CODE", "import os; os.abort()")
    with pytest.raises(InputError, match=r"t\.parquet: cannot be read as Parquet: .*SIGABRT"):
        read_parquet(tmp_path / "t.parquet")


def test_a_truncated_parquet_file_is_refused(tmp_path):
    path = tmp_path / "t.parquet"
    pl.DataFrame({"a": [1]}).write_parquet(path)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(InputError, match=r"t\.parquet: cannot be read as Parquet"):
        read_parquet(path)


def test_the_first_rows_of_a_parquet_file(tmp_path):
    path = tmp_path / "table.parquet"
    whole = pl.DataFrame({"name": ["a", "b", "c"], "amount": [1.0, 2.0, 3.0]})
    whole.write_parquet(path)
    assert is_parquet(path)
    assert read_parquet(path).equals(whole)
    assert read_parquet(path, rows=2).equals(whole[:2])
    assert read_parquet(path, rows=0).schema == whole.schema
    path.write_bytes(b"PAR")
    assert not is_parquet(path)
