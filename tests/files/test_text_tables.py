from __future__ import annotations

import csv
import gzip
import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from danq.errors import InputError
from danq.files.text_tables import number_problem, separator_problem, text_rows

FIELD = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1
).map(lambda text: text.strip() or "x")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.lists(FIELD, min_size=1, max_size=4), min_size=1, max_size=5),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["", "\ufeff"]),
    st.sampled_from(["", "\t", "\t\t "]),
    st.booleans(),
)
def test_rows_that_csv_writes_are_read_as_they_were(tmp_path, rows, end, mark, tail, zipped):
    rows = [["n", *row] for row in rows]
    text = io.StringIO()
    csv.writer(text, delimiter="\t", lineterminator="\n").writerows(rows)
    lines = text.getvalue().removesuffix("\n").split("\n")
    data = (mark + end.join(["# comment", "", *(line + tail for line in lines)]) + end).encode()
    path = tmp_path / "t.tsv"
    path.write_bytes(gzip.compress(data) if zipped else data)
    found = list(text_rows(path))
    assert [row.fields for row in found] == rows
    assert [row.number for row in found] == list(range(3, 3 + len(rows)))


def test_a_line_that_is_not_utf8_is_named(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_bytes(b"a\tb\r\nc\t\xe9\r\n")
    with pytest.raises(InputError, match=r"line 2: the line is not UTF-8 text\. .*iconv -f latin1"):
        list(text_rows(path))


@pytest.mark.parametrize("text", ['a\t"b\nc\td"\n', '"\ta\n'])
def test_a_quote_without_end_is_refused(tmp_path, text):
    path = tmp_path / "t.tsv"
    path.write_text(text)
    with pytest.raises(InputError, match="line 1: a field begins with a double quote"):
        list(text_rows(path))


@pytest.mark.parametrize(
    ("text", "name"), [("a,b,c", "commas"), ("a;b;c", "semicolons"), ("a  b c", "spaces")]
)
def test_separators_other_than_tabs_are_named(text, name):
    problem, remedy = separator_problem(text, 3)
    assert name in problem
    assert name in remedy


@pytest.mark.parametrize("text", ["a\tb\tc", "a", "a,b"])
def test_a_line_with_tabs_or_one_field_has_no_other_separator(text):
    assert separator_problem(text, 3) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1,234,567", "thousands"),
        ("1'000", "thousands"),
        ("0,5", "decimal comma"),
        ("-3,25e-4", "decimal comma"),
        ("1e6", "floating-point"),
        ("100.0", "floating-point"),
    ],
)
def test_unusual_numbers_are_explained(text, reason):
    assert reason in number_problem(text)


@pytest.mark.parametrize("text", ["abc", "", "12", "1,2,3"])
def test_other_texts_are_not(text):
    assert number_problem(text) is None
