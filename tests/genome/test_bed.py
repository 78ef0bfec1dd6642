from __future__ import annotations

import gzip
import subprocess
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from danq.errors import InputError
from danq.genome import bed
from danq.genome.bed import check_bounds, read_bed

NARROW = "chr1\t10\t20\tp1\t900\t+\t5.5\t3.1\t-1\t4\nchr2\t0\t5\tp2\t.\t.\t1\t1\t1\t2\n"


def write(path: Path, text: str | bytes) -> Path:
    data = text.encode() if isinstance(text, str) else text
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("name", ["a.bed", "a.bed.gz"])
def test_narrow_peaks_have_the_columns_of_bed6(tmp_path, name):
    table = read_bed(write(tmp_path / name, NARROW))
    assert table.schema == {
        "chrom": pl.String,
        "start": pl.Int64,
        "end": pl.Int64,
        "name": pl.String,
        "score": pl.Float64,
        "strand": pl.String,
    }
    assert table.rows() == [("chr1", 10, 20, "p1", 900.0, "+"), ("chr2", 0, 5, "p2", None, ".")]


@pytest.mark.parametrize("columns", range(3, 13))
def test_every_width_of_bed_is_read(tmp_path, columns):
    fields = ["chr1", "1", "5", "n", "7", "-", "1", "5", "0", "1", "4", "0"][:columns]
    line = "\t".join(fields)
    table = read_bed(write(tmp_path / "a.bed", f"{line}\n{line}\n"))
    expected = ("chr1", 1, 5, "n", 7.0, "-")[: min(columns, 6)]
    assert table.rows() == [expected, expected]


def test_lines_without_intervals_are_skipped(tmp_path):
    text = (
        "# made by hand\nbrowser position chr1\ntrack name=x\n\nchrom\tchromStart\tchromEnd\n"
        "chr1\t1\t2\n#middle\n\ntrack\tname=y\nbrowser hide all\ntrack1\t3\t4\n \n"
    )
    assert read_bed(write(tmp_path / "a.bed", text)).rows() == [("chr1", 1, 2), ("track1", 3, 4)]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("header", ["chrom\tstart\tend", "#c\tstart\tend", "CHR\tSTART\tEND\tx"])
def test_one_line_of_column_names_is_skipped(tmp_path, header, end):
    path = write(tmp_path / "a.bed", f"{header}{end}chr1\t1\t2{end}")
    assert read_bed(path).rows() == [("chr1", 1, 2)]


def test_a_second_line_of_column_names_is_refused(tmp_path):
    path = write(tmp_path / "a.bed", "chrom\tstart\tend\nchr1\t1\t2\nchrom\tstart\tend\n")
    with pytest.raises(InputError, match="line 3: 'start' is not a whole number"):
        read_bed(path)


def test_crlf_byte_order_mark_and_a_missing_last_line_end_are_accepted(tmp_path):
    text = "\ufeffchr1\t1\t2\ta\r\nchr1\t3\t4\tb"
    assert read_bed(write(tmp_path / "a.bed", text)).rows() == [
        ("chr1", 1, 2, "a"),
        ("chr1", 3, 4, "b"),
    ]


BAD = [
    ("chr1\t5\t5", "the end, 5, is not above the start, 5"),
    ("chr1\t5\t4", "the end, 4, is not above the start, 5"),
    ("chr1\t-1\t4", "the start is -1, below 0"),
    ("chr1\tabc\t4", "'abc' is not a whole number"),
    ("chr1\tabc\tdef", "'abc' is not a whole number"),
    ("chr1\t1\t4.5", r"'4\.5' is not a whole number"),
    ("chr1\t1e3\t2000", "'1e3' is not a whole number"),
    ("chr1\t1\t99999999999999999999", "'99999999999999999999' is not a whole number"),
    ("chr1\t\t4", "'' is not a whole number"),
    ("chr1 1 4", r"the fields are separated by spaces, not tabs \('chr1 1 4'\)"),
    ("chr1\t4", r"the line has 2 columns, not at least 3"),
    ("chr1", r"the line has 1 column, not at least 3"),
    ("\t1\t4", "the line has no chromosome name"),
    ("chr1\t1\t2\r\rchr", "is not a whole number"),
]


@pytest.mark.parametrize(("line", "message"), BAD)
@pytest.mark.parametrize("before", ["", "#c\n\nchr1\t1\t2\n", "track x\nchr1\t1\t2\tn\t0\t+\n"])
@pytest.mark.parametrize("name", ["a.bed", "a.bed.gz"])
def test_errors_give_the_line(tmp_path, line, message, before, name):
    path = write(tmp_path / name, f"{before}{line}\nchr1\t7\t9\n")
    with pytest.raises(InputError, match=message) as caught:
        read_bed(path)
    assert caught.value.file == str(path)
    assert caught.value.line == before.count("\n") + 1
    assert caught.value.remedy


def test_bytes_that_are_not_text_are_refused(tmp_path):
    path = write(tmp_path / "a.bed", b"chr1\t1\t2\nchr\xff\t1\t2\n")
    with pytest.raises(InputError, match="line 2: the line is not text"):
        read_bed(path)


@pytest.mark.parametrize("text", ["#only\n#comments\n", "\n\n", "chrom\tstart\tend\n"])
def test_a_file_without_intervals_is_refused(tmp_path, text):
    with pytest.raises(InputError, match=r"a\.bed: holds no interval"):
        read_bed(write(tmp_path / "a.bed", text))


def test_empty_missing_and_folder_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"is empty \(0 bytes\)"):
        read_bed(write(tmp_path / "a.bed", ""))
    with pytest.raises(InputError, match="no such file"):
        read_bed(tmp_path / "none.bed")
    with pytest.raises(InputError, match="is a folder"):
        read_bed(tmp_path)


def test_a_broken_gzip_is_refused(tmp_path):
    path = write(tmp_path / "a.bed.gz", "".join(f"chr1\t{i}\t{i * 7919 + 1}\n" for i in range(999)))
    data = path.read_bytes()
    for size in (5, len(data) // 2, len(data) - 3):
        path.write_bytes(data[:size])
        with pytest.raises(InputError, match="gzip stream ends too early"):
            read_bed(path)
    path.write_bytes(b"chr1\t1\t2\n")
    with pytest.raises(InputError, match=r"has the extension \.gz but is not gzip"):
        read_bed(path)


LINES = st.one_of(
    st.tuples(
        st.sampled_from(["chr1", "2", "track1"]),
        st.integers(0, 99),
        st.integers(1, 99),
        st.text("ab. ", max_size=3).map(lambda text: "\tn" + text),
    ).map(lambda row: f"{row[0]}\t{row[1]}\t{row[1] + row[2]}{row[3]}"),
    st.sampled_from(["", "#c", "track a", "browser\tb", "chr2\t1\t2", "chr2\t1\t2\tn\t5\t+\tz"]),
)


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(LINES, max_size=12))
def test_fast_reader_equals_its_plain_twin(tmp_path, lines):
    path = write(tmp_path / "a.bed", "\n".join(["chr1\t1\t2\tn", *lines, ""]))
    fast = read_bed(path)
    plain = bed._plain_table(path.read_bytes(), fast.columns, path)
    assert fast.equals(plain.select(fast.columns))


def test_good_files_do_not_take_the_slow_path(tmp_path, monkeypatch):
    monkeypatch.setattr(bed, "_plain_table", None)
    text = "track x\n" + NARROW + "\n#c\nbrowser hide\n" + NARROW.replace("\n", "\r\n")
    assert read_bed(write(tmp_path / "a.bed", text)).height == 4


def test_an_interval_beyond_its_contig_is_refused_with_its_line(tmp_path):
    path = write(tmp_path / "a.bed", "#c\nchr1\t1\t100\nchr9\t1\t999\nchr1\t50\t101\r\n")
    table = read_bed(path)
    check_bounds(table, {"chr1": 101}, path)
    message = r"line 4: the interval chr1:50-101 .* ends beyond chr1, which has 100 bases"
    with pytest.raises(InputError, match=message):
        check_bounds(table, {"chr1": 100, "chr2": 5}, path)
    renamed = table.filter(pl.col("chrom") == "chr1").with_columns(chrom=pl.lit("1"))
    with pytest.raises(InputError, match="line 4: the interval 1:50-101"):
        check_bounds(renamed, {"1": 100}, path)


def test_yeast_peaks_equal_those_read_by_awk(shared_data):
    paths = sorted((shared_data / "yeast" / "peaks" / "w200").iterdir())[:3]
    for path in paths:
        command = ["zcat" if path.suffix == ".gz" else "cat", str(path)]
        text = subprocess.run(command, capture_output=True, check=True, text=True).stdout
        rows = [line.split("\t")[:3] for line in text.splitlines() if not line.startswith("#")]
        table = read_bed(path).select(pl.col("chrom", "start", "end").cast(pl.String))
        assert table.rows() == [tuple(row) for row in rows]
