"""Read the header of a VCF, or the line of column names of a table."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from typing import NamedTuple

from danq.errors import InputError
from danq.files.text_tables import BYTE_ORDER_MARK, repeated_column
from danq.genome.variants.name_of_format import name_of_format
from danq.genome.variants.table_columns import VEP, find_columns, is_header, plain_name

VCF_COLUMNS = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")
NEEDED = ("chrom", "pos", "ref", "alt")
LACKS = "the line of column names lacks"
CONTIG = re.compile(r'##contig=<(?:.*,)?\s*ID\s*=\s*"?([^,>"]+)')
COMMENT = re.compile(r"#\s*[^\t]+?: ")
"""A comment ``# name: value``, as danq writes them, not the names of columns."""

LENGTH = re.compile(r'##contig=<(?:.*,)?\s*length\s*=\s*"?(\d+)')
CLINVAR = "alleleid"
OTHER = ("##gff", "##gvf", "##maf")
TRACK = ("track ", "browser ")
"""First lines of other formats."""

SEPARATORS = {"\t": "tabs", ",": "commas", ";": "semicolons", " ": "spaces"}
REMEDY = (
    "Give a VCF, a BCF, or a table whose first line names the columns chrom, pos, ref, alt and "
    "optionally id"
)
TABS = "Convert the spaces to tabs, for example with: awk -v OFS='\\t' '{$1 = $1; print}'"


class TextHeader(NamedTuple):
    """Header of a VCF or a table.

    Attributes
    ----------
    meta
        Lines that start with ``##``, of a VCF.
    columns
        Names of the columns.
    is_vcf
        Whether the text is a VCF rather than a table.
    separator
        One of `SEPARATORS`.
    line, text
        Number and text of the line with the names.
    """

    meta: list[str]
    columns: list[str]
    is_vcf: bool
    separator: str
    line: int
    text: str


def split_line(line: str, separator: str) -> list[str]:
    """Fields of a line of a table."""
    if separator == "\t":
        return line.split("\t")
    if separator == " ":
        return line.split()
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        return line.split(separator)


def read_text_header(lines: Iterator[tuple[int, str]], name: str) -> TextHeader:
    """Read lines up to the one with the names of the columns.

    Parameters
    ----------
    lines
        Numbers and texts of lines.
    name
        Name of the input in messages.

    Raises
    ------
    InputError
        When that line is missing, or the text has another format.
    """
    meta: list[str] = []
    for number, line in lines:
        line = line.rstrip("\r\n").removeprefix(BYTE_ORDER_MARK.decode() if number == 1 else "")
        if line.startswith("##"):
            if line.lower().startswith(OTHER):
                raise _other_format(line, name, number)
            meta.append(line)
        elif line.startswith("#"):
            if (header := _named(line, meta, name, number)) is not None:
                return header
        elif line.strip():
            if (header := _plain(line, meta, name, number)) is not None:
                return header
            break
    raise InputError(
        "the line of column names (#CHROM POS ID REF ALT ...) is missing",
        file=name,
        remedy="Restore the header, for example with: bcftools reheader",
    )


def header_contigs(meta: list[str], name: str) -> dict[str, int | None]:
    """Contigs of a header in their order, with their lengths where it has them.

    Raises
    ------
    InputError
        When a contig is defined twice with different lengths.
    """
    found: dict[str, int | None] = {}
    for line in meta:
        if (contig := CONTIG.match(line)) is None:
            continue
        match = LENGTH.match(line)
        length = None if match is None else int(match[1])
        earlier = found.get(contig[1])
        if earlier is not None and length is not None and earlier != length:
            raise InputError(
                f"the header defines the contig '{contig[1]}' twice, with {earlier} and with "
                f"{length} bases",
                file=name,
                remedy="Give variants of one assembly",
            )
        found[contig[1]] = length if length is not None else earlier
    return found


def is_vcf_names(columns: list[str]) -> bool:
    """Whether a line of column names is that of a VCF."""
    return columns[:2] == ["#CHROM", "POS"] and {"REF", "ALT"} <= set(columns[2:8])


def names_columns(line: str) -> bool:
    """Whether a line that starts with ``#`` names the columns rather than being a comment."""
    try:
        return _named(line.rstrip("\r\n"), [], "", 0) is not None
    except InputError:
        return True


def _named(line: str, meta: list[str], name: str, number: int) -> TextHeader | None:
    """Header of a line that starts with ``#``; None for a comment."""
    columns = _without_empty(line.split("\t"))
    of_vcf = any(one.startswith("##fileformat=VCF") for one in meta)
    if is_vcf_names(columns) or (of_vcf and plain_name(columns[0]) == "chrom"):
        return _vcf(columns, meta, name, number, line)
    if plain_name(columns[0]) == VEP:
        find_columns(columns, file=name, line=number, lacks=LACKS)
    if plain_name(columns[0]) == CLINVAR:
        raise _other_format(line, name, number)
    if COMMENT.match(line):
        return None
    for separator in SEPARATORS:
        names = _without_empty(split_line(line.lstrip("# "), separator))
        if len(names) < 2 or not is_header(names):
            continue
        if of_vcf and separator == " ":
            raise _spaces(line, name, number)
        if separator == "\t" and is_header(names[:1]):
            return TextHeader(meta, names, False, separator, number, line)
        try:
            find_columns(names, file=name, line=number, lacks=LACKS)
        except InputError:
            continue
        return TextHeader(meta, names, False, separator, number, line)
    return None


def _plain(line: str, meta: list[str], name: str, number: int) -> TextHeader | None:
    """Header of a line that does not start with ``#``; None for a record after header lines."""
    if line.startswith(TRACK):
        raise _other_format(line, name, number)
    of_vcf = any(one.startswith("##fileformat=VCF") for one in meta)
    for separator in SEPARATORS:
        names = _without_empty(split_line(line, separator))
        if len(names) > 1 and is_header(names):
            if of_vcf:
                return _vcf(names, meta, name, number, line)
            return TextHeader(meta, names, False, separator, number, line)
    if is_header([line]):
        return TextHeader(meta, [line.strip()], False, "\t", number, line)
    if meta:
        return None
    raise _other_format(line, name, number)


def _vcf(columns: list[str], meta: list[str], name: str, number: int, line: str) -> TextHeader:
    """Check the names of a VCF's columns."""
    plain = [plain_name(one) for one in columns[: len(VCF_COLUMNS)]]
    missing = [one for one in NEEDED if one not in plain]
    if missing:
        if len(columns) == 1:
            raise _spaces(columns[0], name, number)
        raise InputError(f"{LACKS} {', '.join(missing)}", file=name, line=number, remedy=REMEDY)
    for one in plain:
        if plain.count(one) > 1:
            raise repeated_column(one.upper(), name, number)
    return TextHeader(meta, columns, True, "\t", number, line)


def _without_empty(names: list[str]) -> list[str]:
    while names and not names[-1].strip():
        names = names[:-1]
    return names


def _spaces(line: str, name: str, number: int) -> InputError:
    return InputError(
        f"the column names are separated by spaces, not tabs ({line[:40]!r})",
        file=name,
        line=number,
        remedy=TABS,
    )


def _other_format(line: str, name: str, number: int) -> InputError:
    known = name_of_format(line)
    what = "" if known is None else f"; it is {known[0]}"
    return InputError(
        f"starts neither as VCF nor with column names ({line[:40]!r}){what}",
        file=name,
        line=number,
        remedy=REMEDY if known is None else known[1],
    )
