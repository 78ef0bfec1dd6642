"""Read matrices in tables with named columns or rows: CIS-BP and UniPROBE."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from danq.genome.motif_formats.motif_text import RNA, MotifText
from danq.genome.motif_matrix import LETTERS, Motif

COLUMNS = re.compile(r"(?:(?:pos|position)\s+)?[ACGTU]\s+[ACGTU]\s+[ACGTU]\s+[ACGTU]\s*", re.I)
ROW = re.compile(r"([ACGTU])(?:\s*[:|=]|\s|(?=\[))\s*\[?\s*([-+.0-9][^\]]*?)\s*\]?", re.I)
RANKED = re.compile(r"[0-9]+\s+([ACGTN.]+)\s+[-+.0-9eE]+")
"""Line of UniPROBE with the rank, sequence and score of a motif."""

POSITIONS = re.compile(r"(PO|base)(\s+[0-9]+)+", re.I)
OTHER_MATRIX = re.compile(r"(enrichment score|energy|reverse complement) matrix", re.I)
"""Title of a matrix of UniPROBE that does not hold base frequencies."""

FILE_NAME = "are named after their file"
SUFFIXES = (".gz", ".bgz", ".txt", ".pwm", ".pfm", ".pcm", ".tsv")


def read_cis_bp(text: MotifText) -> list[Motif]:
    """Read tables with a line ``Pos A C G T`` and one row per position, as CIS-BP writes them.

    The name is that of a line ``Motif NAME`` or ``Gene NAME`` before the table, otherwise that of
    the file.

    Raises
    ------
    InputError
        When the columns are not A, C, G and T (or U), a table has no rows, one of several tables
        has no name, or positions are not numbered one after another; and as
        `MotifText.counts`.
    """
    motifs: list[Motif] = []
    starts = [i for i, line in enumerate(text.lines) if COLUMNS.fullmatch(line.strip())]
    for number, start in enumerate(starts):
        before = starts[number - 1] + 1 if number else 0
        fields = [line.split() for line in text.lines[before:start]]
        names = {words[0]: words[1] for words in fields if len(words) > 1}
        name = names.get("Motif") or names.get("Gene", "")
        if not name and len(starts) > 1:
            raise text.error(
                "the matrix has no name", start + 1, remedy="Add a line 'Motif<tab>NAME' before it"
            )
        if not name:
            name = _file_name(text.path)
            text.notice(FILE_NAME, name)
        motifs.append(_table(text, name, start))
    return motifs


def _table(text: MotifText, name: str, start: int) -> Motif:
    header = text.lines[start].strip()
    order = _order(text, name, "".join(header.split()[-4:]), start + 1)
    numbered = len(header.split()) > 4
    rows: list[list[float]] = []
    for index in range(start + 1, len(text.lines)):
        fields = text.lines[index].split()
        if not fields:
            continue
        if not re.match(r"[-+.0-9]|nan|inf", fields[0], re.I):
            break
        if len(fields) != 4 + numbered:
            raise text.error(
                f"a row of the matrix has {len(fields)} fields, not {4 + numbered}",
                index + 1,
                name,
                "Correct the row; the file may be truncated",
            )
        values = text.numbers(fields, index + 1, name)
        if numbered and values[0] != (rows[0][0] if rows else values[0]) + len(rows):
            raise text.error(
                f"position {fields[0]} does not follow the one before",
                index + 1,
                name,
                "A row may be missing; download the file again",
            )
        rows.append(values)
    if not rows:
        raise text.error(
            "the matrix has no rows",
            start + 1,
            name,
            "CIS-BP leaves out the matrices of TRANSFAC, which need a license; remove this file",
        )
    return text.counts(name, np.array(rows)[:, -4:][:, order], start + 1)


def read_uniprobe(text: MotifText) -> list[Motif]:
    """Read blocks of four rows that start with a base, without a line ``>NAME``, as in UniPROBE.

    The name is that of the line before a block, without ``Protein:`` and what follows a tab,
    otherwise that of the file. Of the matrices that UniPROBE writes for a motif, the probability
    matrix is read.

    Raises
    ------
    InputError
        When a block does not have one row for each base, rows of unequal length, or no name
        although there are several blocks; and as `MotifText.counts`.
    """
    blocks: list[tuple[str, int, list[tuple[str, list[float]]]]] = []
    name, inside, skipped = "", False, False
    for number, line in enumerate(text.lines, start=1):
        stripped = line.strip()
        match = ROW.fullmatch(stripped)
        if match is None:
            title = stripped.lower()
            inside = inside and not stripped
            if OTHER_MATRIX.match(title):
                skipped = True
            elif title == "probability matrix":
                skipped = False
            elif stripped and not stripped.startswith("#") and not POSITIONS.fullmatch(stripped):
                name, skipped = _protein(stripped), False
        elif not skipped:
            if not inside:
                blocks.append((name, number, []))
                name, inside = "", True
            values = text.numbers(match[2].split(), number, blocks[-1][0])
            blocks[-1][2].append((match[1].upper(), values))
    if not blocks:
        raise text.error(
            "has no probability matrix", remedy="Give a file with the base frequencies of motifs"
        )
    return [_block(text, *block, alone=len(blocks) == 1) for block in blocks]


def _block(
    text: MotifText, name: str, line: int, rows: list[tuple[str, list[float]]], *, alone: bool
) -> Motif:
    if not name and not alone:
        raise text.error("the matrix has no name", line, remedy="Write its name in the line before")
    if not name:
        name = _file_name(text.path)
        text.notice(FILE_NAME, name)
    order = _order(text, name, "".join(letter for letter, _ in rows), line)
    widths = {len(values) for _, values in rows}
    if len(widths) != 1 or 0 in widths:
        raise text.error(
            "the rows of the matrix have unequal lengths or are empty",
            line,
            name,
            "The file may be truncated; download it again",
        )
    return text.counts(name, np.array([values for _, values in rows])[order].T, line)


def _order(text: MotifText, name: str, letters: str, line: int) -> list[int]:
    upper = letters.upper()
    if sorted(upper) not in (list(LETTERS), list("ACGU")):
        raise text.error(
            f"the matrix has the bases {', '.join(upper)}, not A, C, G and T once each",
            line,
            name,
            "Correct the letters; the file may be truncated",
        )
    if "U" in upper:
        text.notice(RNA, name)
    return [upper.replace("U", "T").index(base) for base in LETTERS]


def _protein(line: str) -> str:
    ranked = RANKED.fullmatch(line)
    return ranked[1] if ranked else re.sub(r"^(Protein|Gene):", "", line.split("\t")[0]).strip()


def _file_name(path: Path) -> str:
    name = path.name
    while name.lower().endswith(SUFFIXES):
        name = name[: name.rindex(".")]
    return name or "motif"
