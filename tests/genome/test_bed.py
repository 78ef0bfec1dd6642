from __future__ import annotations

import bz2
import gzip
import lzma
import re
import subprocess
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from danq.errors import InputError
from danq.genome import bed
from danq.genome.bed import read_bed
from danq.genome.bed_checks import check_bounds
from danq.genome.bed_header import plain_plan

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
    ("chr1\t5\t4", "the end, 4, is below the start, 5"),
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
    ("chr1\t1,000\t2,000", "it has separators of thousands"),
    ("chr1,1,4", "the fields are separated by commas, not tabs"),
    ("chr1;1;4", "the fields are separated by semicolons, not tabs"),
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
    with pytest.raises(InputError, match="line 2: the line is not UTF-8"):
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


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
@pytest.mark.parametrize("name", ["a.bed", "a.bed.gz"])
def test_every_line_end_is_read(tmp_path, end, name):
    path = write(tmp_path / name, end.join(["chr1\t1\t2\ta", "", "chr2\t3\t4\tb"]))
    assert read_bed(path).rows() == [("chr1", 1, 2, "a"), ("chr2", 3, 4, "b")]


def test_quotes_blanks_and_trailing_tabs_are_removed(tmp_path):
    path = write(tmp_path / "a.bed", '"chr1"\t"1"\t2\t"a\tb ""c"""\t\t\nchr2 \t3\t4\tn\n')
    assert read_bed(path).rows() == [
        ("chr1", 1, 2, 'a\tb "c"'),
        ("chr2", 3, 4, "n"),
    ]


def test_a_quote_that_does_not_end_is_refused(tmp_path):
    path = write(tmp_path / "a.bed", 'chr1\t1\t2\t"a\nchr2\t3\t4\tb"\n')
    with pytest.raises(InputError, match="line 1: a field begins with a double quote"):
        read_bed(path)


def test_intervals_of_no_base_are_left_out_and_counted(tmp_path, caplog):
    path = write(tmp_path / "a.bed", "chr1\t5\t5\nchr1\t1\t2\nchr2\t0\t0\n")
    with caplog.at_level("INFO", "danq"):
        assert read_bed(path).rows() == [("chr1", 1, 2)]
    assert "intervals of no base (start = end), left out: 2" in caplog.text
    with pytest.raises(InputError, match="all of its 1 intervals have no base"):
        read_bed(write(tmp_path / "b.bed", "chr1\t5\t5\n"))


MACS = (
    "# This file is generated by MACS version 3.0.1\n# tag size = 36\n\n"
    "chr\tstart\tend\tlength\tabs_summit\tpileup\t-log10(pvalue)\tfold_enrichment\tname\n"
    "chr1\t1001\t1200\t200\t1100\t12.0\t9.1\t5.0\tp1\nchr2\t1\t10\t10\t5\t9.0\t8\t4.0\tp2\n"
)
GRANGES = (
    '"seqnames"\t"start"\t"end"\t"width"\t"strand"\n'
    '"chr1"\t1001\t1200\t200\t"-"\n"chr2"\t1\t10\t10\t"*"\n'
)


@pytest.mark.parametrize(
    ("text", "rest"), [(MACS, [("p1",), ("p2",)]), (GRANGES, [("-",), ("*",)])]
)
def test_tables_that_count_from_one_are_shifted_with_a_notice(tmp_path, caplog, text, rest):
    with caplog.at_level("INFO", "danq"):
        found = read_bed(write(tmp_path / "x_peaks.xls", text)).rows()
    assert found == [("chr1", 1000, 1200, *rest[0]), ("chr2", 0, 10, *rest[1])]
    assert "starts count from 1" in caplog.text


def test_a_length_that_agrees_with_0_based_starts_shifts_nothing(tmp_path, caplog):
    path = write(tmp_path / "a.bed", "chrom\tstart\tend\tlength\nchr1\t10\t20\t10\n")
    with caplog.at_level("INFO", "danq"):
        assert read_bed(path).rows() == [("chr1", 10, 20)]
    assert caplog.text == ""


def test_lengths_that_agree_with_neither_are_refused(tmp_path):
    path = write(tmp_path / "a.bed", "chrom\tstart\tend\twidth\nchr1\t1\t9\t9\nchr1\t1\t9\t8\n")
    with pytest.raises(InputError, match="agrees neither with 0-based"):
        read_bed(path)


@pytest.mark.parametrize(
    ("header", "noticed"),
    [
        ("chrom\tstart\tend", False),
        ("Chr\tStart\tEnd", True),
        ("seqnames\tstart\tend\twidth", False),
    ],
)
def test_unusual_column_names_are_announced(tmp_path, caplog, header, noticed):
    path = write(tmp_path / "a.tsv", f"{header}\nchr1\t10\t20\t10\n")
    with caplog.at_level("INFO", "danq"):
        assert read_bed(path).rows()[0][:3] == ("chr1", 10, 20)
    assert ("are read as 0-based" in caplog.text) == noticed


def test_column_names_say_what_the_columns_are(tmp_path):
    path = write(tmp_path / "a.tsv", "chrom\tstart\tend\tTRACK\tname\nchr1\t1\t9\t0.5\tx\n")
    assert read_bed(path).rows(named=True) == [{"chrom": "chr1", "start": 1, "end": 9, "name": "x"}]


RECORD = "chr1\t100\t200\t"
OTHER_FORMATS = [
    ("track type=bedGraph name=x\n" + RECORD + "0.5\n", "a track of type bedGraph"),
    (RECORD + "x\ntrack name=y type=bedGraph\n" + RECORD + "0.5\n", "a track of type bedGraph"),
    ("# danq: 0.1.0\nchrom\tpos\tref\talt\nchr1\t5\tA\tC\n", "is a table of positions"),
    ("browser position chr1\ntrack name=a type=wiggle_0\n" + RECORD + "1\n", "type wiggle_0"),
    ('track name="a b" type="bigBed"\n' + RECORD + "n\n", "a track of type bigBed"),
    ("fixedStep chrom=chr1 start=1 step=1\n1\n2\n", "wiggle"),
    ("variableStep chrom=chr1\n1 2\n", "wiggle"),
    (RECORD + "chr1\t300\t400\tn\n", "BEDPE"),
    ("1\t0\t100\t2\t50\t70\tn\n", "BEDPE"),
    ("##gff-version 3\nchr1\ta\tgene\t1\t9\t.\t+\t.\tID=1\n", "GFF"),
    ('chr1\tx\texon\t1\t9\t.\t+\t0\tgene_id "a";\n', "GFF or GTF, which counts from 1"),
    ("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\nchr1\t5\t.\tA\tC\n", "a VCF"),
    ("@HD\tVN:1.6\n@SQ\tSN:chr1\tLN:9\nchr1\t1\t9\t+\tn\n", "interval list of Picard"),
    ("@SQ\tSN:chr1\tLN:9\nr1\t0\tchr1\t7\t30\t8M\t*\t0\t0\tACGT\t*\n", "SAM alignments"),
    ("#PeakID\tchr\tstart\tend\tstrand\np1\tchr1\t1\t9\t+\n", "a peak file of HOMER"),
    ("chr1:100-200\nchr1:300-400\n", "a list of regions, which count from 1"),
    ("chrom\tname\tstart\tend\nchr1\ta\t1\t9\n", "not chromosome, start and end first"),
    ("#bin\tchrom\tchromStart\tchromEnd\n585\tchr1\t1\t9\n", "not chromosome, start and end"),
    ("seqnames\tstart\tend\nchr1\t1\t9\n", "'seqnames' is that of an R table"),
    ("585\tchr1\t1\t9\tn\n", "the chromosome is in the second column"),
    (">chr1\nACGT\n", "is FASTA"),
    ("<!DOCTYPE html>\n<html>404</html>\n", "a web page"),
    ('{"error": 404}', "is JSON"),
    ("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n", "a pointer of Git LFS"),
    ("chr1\t1\t2\n".encode("utf-16"), "UTF-16 text"),
    ("chr1\t1\t2\n".encode("utf-16-le"), "UTF-16 text"),
    ("chr1\t1\t2\n".encode("utf-32"), "UTF-32 text"),
    (bz2.compress(b"chr1\t1\t2\n"), "compressed with bzip2"),
    (lzma.compress(b"chr1\t1\t2\n"), "compressed with xz"),
    (gzip.compress(b"chr1\t1\t2\n"), "compressed with gzip twice"),
    (b"\x28\xb5\x2f\xfd\0\0", "compressed with zstd"),
    (b"\x26\xfc\x8f\x88\0\0", "a bigWig file"),
    (b"\xeb\xf2\x89\x87\0\0", "a bigBed file"),
    (b"PK\x03\x04\0\0xl/worksheets", "an Excel workbook"),
    (b"PK\x03\x04\0\0x.bed", "a zip archive"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"BAM\x01abc", "a BAM file"),
    (b"chr1\t1\t2\n\0\0\0", "a binary file"),
]


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(("text", "name"), OTHER_FORMATS, ids=[name for _, name in OTHER_FORMATS])
def test_other_formats_are_refused_by_name(tmp_path, text, name, zipped):
    path = tmp_path / ("a.bed.gz" if zipped else "a.bed")
    data = text.encode() if isinstance(text, str) else text
    if not zipped and data.startswith(b"\x1f\x8b"):
        data = gzip.compress(data)
    path.write_bytes(gzip.compress(data) if zipped else data)
    with pytest.raises(InputError, match=re.escape(name)) as caught:
        read_bed(path)
    assert caught.value.file == str(path)
    assert caught.value.remedy


@pytest.mark.parametrize("text", ["", "# none\n", "track name=x\n"])
def test_a_file_without_intervals_is_an_empty_table_where_allowed(tmp_path, text):
    table = read_bed(write(tmp_path / "a.narrowPeak", text), empty=True)
    assert table.rows() == []
    assert table.columns == ["chrom", "start", "end"]


LINES = st.one_of(
    st.tuples(
        st.sampled_from(["chr1", "2", "track1"]),
        st.integers(0, 99),
        st.integers(1, 99),
        st.text("ab. ", max_size=3).map(lambda text: "\tn" + text),
    ).map(lambda row: f"{row[0]}\t{row[1]}\t{row[1] + row[2]}{row[3]}"),
    st.sampled_from(["", "#c", "track a", "browser\tb", "chr2\t1\t2", "chr2\t1\t2\tn\t5\t+\tz"]),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LINES, max_size=12))
def test_fast_reader_equals_its_plain_twin(tmp_path, lines):
    path = write(tmp_path / "a.bed", "\n".join(["chr1\t1\t2\tn", *lines, ""]))
    fast = read_bed(path)
    plain = bed._checked_table(path.read_bytes(), plain_plan(len(fast.columns)), path)
    assert fast.equals(plain.select(fast.columns))


def test_good_files_do_not_take_the_slow_path(tmp_path, monkeypatch):
    monkeypatch.setattr(bed, "_checked_table", None)
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


@pytest.mark.parametrize(
    ("text", "columns"),
    [(NARROW, 3), ("chr1\t1\t2\n", 3), ("chr1\t1\t2\t0.5\n", 4), (MACS, 3)],
)
def test_positions_alone_are_those_of_the_whole_table(tmp_path, text, columns):
    path = write(tmp_path / "a.bed", text)
    whole, few = read_bed(path), read_bed(path, names=False)
    assert few.width == columns
    assert few.equals(whole.select(few.columns))
