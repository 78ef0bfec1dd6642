"""Other programs read the tables of danq as danq wrote them, whatever the names contain."""

from __future__ import annotations

import ast
import gzip
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import danq
from danq.errors import InputError
from danq.files.open_input import BGZF_END
from danq.inference.sources.tiling import Rows
from danq.inference.writers.layout import PredictionLayout
from danq.inference.writers.open_output import find_output
from danq.inference.writers.tsv import write_table
from danq.inference.writers.variant_layout import VariantLayout
from danq.names import name_problem
from danq.output import comment_lines

NAMES = [
    *("#x", "#", "a#b", "HG002#1#chr1", '"q"', '"', 'a"b', '""', "'s", "''"),
    *(
        "NA",
        "N/A",
        "nan",
        "null",
        "None",
        "inf",
        "-inf",
        "True",
        "007",
        "1e5",
        "-",
        ".",
        "%",
        "\\N",
    ),
    *("a b", " blank ", "a,b", "a;b", "naïve 日本", "=cmd|' /C calc'!A0", "chr1", "x" * 5000),
    *("\\n", "{", "`", "track", "browser", "chrom", "# danq: 1"),
]
"""Names that some reader changes, or takes for something else, without quotation marks."""

IN_QUOTES_ONLY = ["tab\there", "two\nlines", "\n", "#\t\"'"]
"""Names that awk and tabix cannot read; only names in memory contain a tab or a line end."""

TRACKS = (
    *("HeLa-S3|Pol2|None#412", "#first", "a,b", "a b", " blank ", "=cmd", "NA", "7", "naïve 日本"),
    *("'s", "x" * 3000, "True", "end#"),
)

ABOUT = {"danq": "1", "model": "a\tb \"c' #d\ne\r", "names": "日本", "empty": ""}

NUMBERS = np.array(
    [
        0,
        -0.0,
        1,
        1e-45,
        3.4028235e38,
        -1.1754944e-38,
        0.1,
        16777216,
        1e-12,
        np.nan,
        np.inf,
        -np.inf,
    ],
    np.float32,
)


def numbers(rows: int, columns: int) -> np.ndarray:
    random = np.random.default_rng(rows).integers(0, 1 << 32, (rows, columns), np.uint32)
    values = random.view(np.float32).copy()
    values.flat[: NUMBERS.size] = NUMBERS
    values.flat[-2:] = np.inf, -np.inf
    return values


def predictions(path: Path, names: list[str], layout: PredictionLayout | None = None) -> None:
    start = np.arange(len(names)) * 10
    layout = layout or PredictionLayout(
        key="chrom", tracks=TRACKS, groups=TRACKS, provenance=ABOUT, labelled=True
    )
    rows = Rows(names, start, start + 10, [None, *names[1:]])
    with find_output(path, PredictionLayout).open(layout) as writer:
        writer.write(rows, numbers(len(names), len(layout.columns)))


def predictions_table(path: Path, names: list[str]) -> pl.DataFrame:
    predictions(path, names)
    start = np.arange(len(names)) * 10
    keys = {"chrom": names, "start": start, "end": start + 10, "name": [None, *names[1:]]}
    return _with_values(keys, TRACKS)


def variants_table(path: Path, names: list[str]) -> pl.DataFrame:
    layout = VariantLayout(tracks=TRACKS, groups=TRACKS, scores=("logit",), provenance=ABOUT)
    pos = np.arange(len(names)) + 1
    keys = {"chrom": names, "pos": pos, "id": names[::-1], "ref": ["A"] * len(names)}
    keys |= {"alt": ["<DEL>"] * len(names), "flags": ["padded,moved"] * len(names)}
    rows = pl.DataFrame({"record": pos, "allele": pos} | keys)
    with find_output(path, VariantLayout).open(layout) as writer:
        writer.write(rows, numbers(len(names), len(layout.columns)))
    return _with_values(keys, layout.columns)


def whole_table(path: Path, names: list[str]) -> pl.DataFrame:
    keys = {"chrom": names, "group": [*names[:-1], None]}
    table = _with_values(keys, TRACKS)
    write_table(path, table, ABOUT, 'note "1"', "note\n2")
    return table


def _with_values(keys: dict, columns: tuple[str, ...]) -> pl.DataFrame:
    values = numbers(len(next(iter(keys.values()))), len(columns))
    return pl.DataFrame(keys).hstack(pl.DataFrame(values, schema=list(columns)))


TABLES: dict[str, Callable[[Path, list[str]], pl.DataFrame]] = {
    "predictions.tsv": predictions_table,
    "predictions.tsv.gz": predictions_table,
    "variants.tsv": variants_table,
    "variants.tsv.gz": variants_table,
    "table.tsv": whole_table,
}


def with_polars(path: Path, texts: list[str]) -> dict[str, list]:
    types = dict.fromkeys(texts, pl.String)
    table = pl.read_csv(path, separator="\t", comment_prefix="#", schema_overrides=types)
    return table.to_dict(as_series=False)


def with_pandas(path: Path, texts: list[str]) -> dict[str, list]:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    types = dict.fromkeys(texts, str)
    table = pandas.read_csv(
        path, sep="\t", comment="#", dtype=types, keep_default_na=False, na_values=[""]
    )
    return {name: table[name].tolist() for name in table.columns}


R = r"""
arguments <- commandArgs(TRUE)
texts <- strsplit(arguments[2], ",")[[1]]
table <- read.delim(arguments[1], comment.char = "#", check.names = FALSE, na.strings = "",
                    colClasses = setNames(rep("character", length(texts)), texts),
                    encoding = "UTF-8")
hex <- function(text) if (is.na(text)) "-" else
  paste(c("=", format(charToRaw(text))), collapse = "")
for (name in names(table)) {
  column <- table[[name]]
  fields <- if (is.character(column)) sapply(column, hex) else sprintf("%.17g", column)
  cat(hex(name), fields, sep = "\t")
  cat("\n")
}
"""


def with_r(path: Path, texts: list[str]) -> dict[str, list]:
    if shutil.which("Rscript") is None:
        pytest.skip("R is not installed")
    command = ["Rscript", "-e", R, str(path), ",".join(texts)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    table = {}
    for line in done.stdout.splitlines():
        name, *fields = line.split("\t")
        table[_from_hex(name)] = [_from_hex(field) for field in fields]
    return table


def _from_hex(field: str) -> str | float | None:
    if field == "-":
        return None
    if field.startswith("="):
        return bytes.fromhex(field[1:]).decode()
    return float("nan") if field == "NA" else float(field)


def with_awk(path: Path, texts: list[str]) -> dict[str, list]:
    """Fields between tabs; awk leaves the quotation marks, which are removed here."""
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    program = r'!/^#/ { for (i = 1; i <= NF; i++) printf "%s\001", $i; printf "\002" }'
    command = ["awk", "-F", "\t", program]
    lines = subprocess.run(command, input=text, capture_output=True, check=True).stdout
    rows = [line.split(b"\1")[:-1] for line in lines.split(b"\2")[:-1]]
    head, *rows = [[_plain(field.decode()) for field in row] for row in rows]
    columns = dict(zip(head, map(list, zip(*rows, strict=True)), strict=True))
    return {
        name: fields if name in texts else [float(field) for field in fields]
        for name, fields in columns.items()
    }


def _plain(field: str) -> str:
    return field[1:-1].replace('""', '"') if field.startswith('"') else field


READERS = {"polars": with_polars, "pandas": with_pandas, "R": with_r, "awk": with_awk}


def check(found: dict[str, list], expected: pl.DataFrame) -> None:
    assert list(found) == expected.columns
    for name, kind in expected.schema.items():
        if kind == pl.String:
            texts = [None if text in ("", None) or text != text else text for text in found[name]]
            assert texts == expected[name].to_list(), name
        else:
            values = np.array(found[name], np.float64)
            np.testing.assert_array_equal(
                values.astype(np.float32), expected[name].to_numpy().astype(np.float32)
            )


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", TABLES)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_every_reader_finds_what_was_written(tmp_path, name, reader):
    names = NAMES if reader == "awk" else [*NAMES[:5], *IN_QUOTES_ONLY, *NAMES[5:]]
    expected = TABLES[name](tmp_path / name, names)
    texts = [column for column, kind in expected.schema.items() if kind == pl.String]
    check(READERS[reader](tmp_path / name, texts), expected)


@pytest.mark.parametrize("reader", READERS)
def test_a_long_table_with_a_late_hash(tmp_path, reader):
    names = [*["chr1"] * 40_000, "X", "#late", 'late"', "NA"]
    path = tmp_path / "out.tsv.gz"
    predictions(path, names, PredictionLayout(key="chrom", tracks=("a#b",), groups=("",)))
    found = READERS[reader](path, ["chrom"])
    assert list(found) == ["chrom", "start", "end", "a#b"]
    assert found["chrom"] == names
    assert found["start"][-1] == 10 * (len(names) - 1)


def test_lines_with_a_hash_are_only_before_the_header(tmp_path):
    for name, write in TABLES.items():
        write(tmp_path / name, NAMES)
        data = (tmp_path / name).read_bytes()
        lines = (gzip.decompress(data) if name.endswith(".gz") else data).decode().split("\n")
        comments = [number for number, line in enumerate(lines) if line.startswith("#")]
        assert comments == list(range(len(comments)))
        assert lines[len(comments)].startswith("chrom\t")
        assert len(lines) == len(comments) + 1 + len(NAMES) + 1


def test_quotation_marks_only_where_they_are_necessary(tmp_path):
    table = pl.DataFrame({"name": ["chr1", "a b", "a,b", "NA", "", None, "a#", 'a"'], "x": [1] * 8})
    write_table(tmp_path / "out.tsv", table, {})
    texts = ["chr1", "a b", "a,b", "NA", "", "", '"a#"', '"a"""']
    expected = ["name\tx", *(f"{text}\t1" for text in texts)]
    assert (tmp_path / "out.tsv").read_text().splitlines() == expected


@pytest.mark.parametrize("suffix", ["tsv", "tsv.gz"])
@pytest.mark.parametrize("track", ["", "a\tb", "a\nb", "a\rb", 'say "a"'])
def test_column_names_that_programs_read_differently_are_refused(tmp_path, track, suffix):
    layout = PredictionLayout(key="chrom", tracks=("ok", track), groups=("", ""))
    with pytest.raises(InputError, match="programs read a column named"):
        predictions(tmp_path / f"out.{suffix}", ["chr1"], layout)
    assert list(tmp_path.iterdir()) == []
    predictions(tmp_path / "out.parquet", ["chr1"], layout)
    assert pl.read_parquet(tmp_path / "out.parquet").columns[-1] == track


def test_comment_lines_stay_one_line_each():
    lines = comment_lines({"a": "b\nc\r\nd", "file": "x\udcff"}, "note\nend").decode()
    assert lines == "# a: b\\nc\\r\\nd\n# file: x\\udcff\n# note\\nend\n"


def tabix_rows(path: Path, region: str, columns: dict[str, int], *, zero_based: bool) -> list[str]:
    pysam = pytest.importorskip("pysam", reason="pysam is not installed")
    lines = gzip.decompress(path.read_bytes()).decode().split("\n")
    skipped = next(n for n, line in enumerate(lines, start=1) if line.startswith("chrom\t"))
    pysam.tabix_index(
        str(path),
        seq_col=0,
        **columns,
        line_skip=skipped,
        zerobased=zero_based,
        force=True,
        keep_original=True,
    )
    with pysam.TabixFile(str(path), encoding="utf-8") as file:
        return list(file.fetch(region=region))


def test_htslib_indexes_predictions(tmp_path):
    path = tmp_path / "out.tsv.gz"
    names = ["chr1"] * 30_000 + ["a#b"] * 10
    predictions(path, names, PredictionLayout(key="chrom", tracks=TRACKS, groups=TRACKS))
    assert path.read_bytes().endswith(BGZF_END)
    columns = {"start_col": 1, "end_col": 2}
    rows = tabix_rows(path, "chr1:250001-250011", columns, zero_based=True)
    assert [row.split("\t")[:3] for row in rows] == [
        ["chr1", "250000", "250010"],
        ["chr1", "250010", "250020"],
    ]
    assert len(tabix_rows(path, '"a#b"', columns, zero_based=True)) == 10


def test_htslib_indexes_variants(tmp_path):
    path = tmp_path / "out.tsv.gz"
    variants_table(path, ["chr1"] * 20_000)
    rows = tabix_rows(path, "chr1:15000-15001", {"start_col": 1, "end_col": 1}, zero_based=False)
    assert [row.split("\t")[1] for row in rows] == ["15000", "15001"]


def documented_commands() -> list[str]:
    text = (Path(danq.__file__).parents[1] / "docs" / "formats.md").read_text()
    return [line for line in text.splitlines() if line.startswith("tabix ")]


@pytest.mark.skipif(shutil.which("tabix") is None, reason="tabix is not installed")
@pytest.mark.parametrize("number", [0, 1])
def test_the_documented_tabix_commands(tmp_path, number):
    name = ["predictions.tsv.gz", "variants.tsv.gz"][number]
    TABLES[name](tmp_path / name, ["chr1"] * 200)
    command = documented_commands()[number].replace("out.tsv.gz", name)
    made = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    assert (made.returncode, made.stderr) == (0, "")
    query = ["tabix", name, "chr1:101-101"]
    found = subprocess.run(query, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert [row.split("\t")[1] for row in found.splitlines()] == [["100"], ["101"]][number]


@pytest.mark.skipif(shutil.which("bgzip") is None, reason="bgzip is not installed")
def test_bgzip_reads_the_blocks(tmp_path):
    path = tmp_path / "out.tsv.gz"
    predictions_table(path, NAMES * 300)
    command = ["bgzip", "--test", str(path)]
    subprocess.run(command, check=True)
    assert subprocess.run(
        ["bgzip", "-dc", str(path)], capture_output=True, check=True
    ).stdout == gzip.decompress(path.read_bytes())


def test_results_in_memory_equal_the_tables(tmp_path, toy):
    """End to end: predictions and mutation effects of sequences with such names."""
    model = toy(tracks=("G#1", "#C", "N,a"))
    names = [name for name in NAMES if not name_problem(name)]
    assert len(names) > len(NAMES) // 2
    letters = np.random.default_rng(3).choice(list("ACGT"), (len(names), 20))
    sequences = {name: "".join(row) for name, row in zip(names, letters, strict=True)}
    result = danq.predict(model, sequences)
    danq.write_predictions(model, sequences, tmp_path / "p.tsv")
    expected = result.to_polars()
    check(with_polars(tmp_path / "p.tsv", ["name"]), expected)
    check(with_pandas(tmp_path / "p.tsv", ["name"]), expected)
    danq.write_mutations(model, sequences, tmp_path / "m.tsv")
    danq.write_mutations(model, sequences, tmp_path / "m.parquet")
    expected = pl.read_parquet(tmp_path / "m.parquet")
    assert expected["name"].unique(maintain_order=True).to_list() == names
    check(with_polars(tmp_path / "m.tsv", ["name", "ref", "alt"]), expected)
    check(with_pandas(tmp_path / "m.tsv", ["name", "ref", "alt"]), expected)


def test_all_tables_are_written_by_one_module():
    """Other modules call it, so that every table follows its rule."""
    package = Path(danq.__file__).parent
    found = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("write_csv", "sink_csv", "to_csv")
    }
    assert found == {"inference/writers/tsv.py", "inference/writers/variant_vcf.py"}
