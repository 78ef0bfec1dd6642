"""Read matrices in tables with named columns or rows: CIS-BP and UniPROBE."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from danq.genome.motif_formats.motif_text import MotifText
from danq.genome.motif_matrix import LETTERS, Motif

COLUMNS = re.compile(r"(?:(?:pos|position)\s+)?[ACGTU]\s+[ACGTU]\s+[ACGTU]\s+[ACGTU]\s*", re.I)
ROW = re.compile(r"([ACGTU])\s*[:|]\s*(.*)", re.I)
RNA = "are of RNA; U is read as T"
FILE_NAME = "are named after their file"
SUFFIXES = (".gz", ".bgz", ".txt", ".pwm", ".pfm", ".pcm", ".tsv")


def read_cis_bp(text: MotifText) -> list[Motif]:
    """Read tables with a line ``Pos A C G T`` and one row per position, as CIS-BP writes them.

    The name is that of a line ``Motif NAME`` before the table, otherwise that of the file.

    Raises
    ------
    InputError
        When the columns are not A, C, G and T (or U), a table has no rows, one of several tables
        has no name, or positions are not numbered one after another; and as
        `MotifText.counts`.
    """
    motifs: list[Motif] = []
    name = ""
    starts = [i for i, line in enumerate(text.lines) if COLUMNS.fullmatch(line.strip())]
    for number, start in enumerate(starts):
        before = starts[number - 1] + 1 if number else 0
        for line in text.lines[before:start]:
            fields = [field.strip() for field in line.split("\t")]
            if fields[0] == "Motif" and len(fields) > 1:
                name = fields[1]
        if not name and len(starts) > 1:
            raise text.error(
                "the matrix has no name", start + 1, remedy="Add a line 'Motif<tab>NAME' before it"
            )
        if not name:
            name = _file_name(text.path)
            text.notice(FILE_NAME, name)
        motifs.append(_table(text, name, start))
        name = ""
    return motifs


def _table(text: MotifText, name: str, start: int) -> Motif:
    header = text.lines[start].strip()
    order = _order(text, name, "".join(header.split()[-4:]), start + 1)
    numbered = len(header.split()) > 4
    rows: list[list[float]] = []
    for index in range(start + 1, len(text.lines)):
        fields = text.lines[index].split()
        if not fields and not rows:
            continue
        if not fields or not re.match(r"[-+.0-9]|nan|inf", fields[0], re.I):
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
    """Read blocks of four rows ``A: ...``, ``C: ...``, ``G: ...``, ``T: ...``, as in UniPROBE.

    The name is that of the line before a block, without ``Protein:`` and what follows a tab,
    otherwise that of the file.

    Raises
    ------
    InputError
        When a block does not have one row for each base, rows of unequal length, or no name
        although there are several blocks; and as `MotifText.counts`.
    """
    blocks: list[tuple[str, int, list[tuple[str, list[float]]]]] = []
    name, open_block = "", False
    for number, line in enumerate(text.lines, start=1):
        stripped = line.strip()
        match = ROW.fullmatch(stripped)
        if match is None:
            if stripped and not stripped.startswith("#"):
                name, open_block = _protein(stripped), False
            continue
        if not open_block:
            blocks.append((name, number, []))
            name, open_block = "", True
        values = text.numbers(match[2].split(), number, blocks[-1][0])
        blocks[-1][2].append((match[1].upper(), values))
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
    return re.sub(r"^(Protein|Gene):", "", line.split("\t")[0]).strip().rstrip(":")


def _file_name(path: Path) -> str:
    name = path.name
    while name.lower().endswith(SUFFIXES):
        name = name[: name.rindex(".")]
    return name or "motif"
