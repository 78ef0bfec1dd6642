"""Read TRANSFAC records, as TRANSFAC, JASPAR, RSAT and SwissRegulon write them."""

from __future__ import annotations

import re

import numpy as np

from danq.genome.motif_formats.motif_text import RNA, MotifText
from danq.genome.motif_matrix import LETTERS, Motif

COLUMNS = re.compile(r"(P0|PO)(\s+[A-Z]\b|$)", re.IGNORECASE)
TAG = re.compile(r"([A-Z][A-Z0-9]|//)(\s|$)")
POSITION = re.compile(r"[0-9]{1,4}")
PROTEIN = tuple("DEFHIKLMNPQRSVWY")
"""Names of a fifth column in matrices of protein."""

TRUNCATED = "The file may be truncated; download it again"


def read_transfac(text: MotifText) -> list[Motif]:
    """Read the motifs of TRANSFAC records.

    The name is the accession (``AC``), followed by the identifier (``ID``) if it is another;
    otherwise ``NA`` or ``DE``. Columns are read by the letters of the line ``P0`` or ``PO``.

    Raises
    ------
    InputError
        When a record has no name, no matrix, two matrices, or a matrix whose columns are not A,
        C, G and T (or U), whose positions are not numbered one after another, or that does not
        end with ``XX`` or ``//``; and as `MotifText.counts`.
    """
    motifs: list[Motif] = []
    names: dict[str, str] = {}
    start = 0
    index = 0
    read = False
    while index < len(text.lines):
        line = text.lines[index].strip()
        index += 1
        if COLUMNS.match(line):
            if read:
                raise text.error(
                    "the record has a second matrix", index, remedy="End each record with '//'"
                )
            motif, index = _matrix(text, _name(text, names, index), index)
            motifs.append(motif)
            read = True
        elif line[:2] == "//":
            _check_read(text, names, read, start)
            names, read = {}, False
        elif line[:2] in ("AC", "ID", "NA", "DE") and TAG.match(line):
            start = start if names else index
            names.setdefault(line[:2], line[2:].strip())
    _check_read(text, names, read, start)
    return motifs


def _check_read(text: MotifText, names: dict[str, str], read: bool, line: int) -> None:
    if names and not read:
        raise text.error(
            "the record has no matrix with a line 'P0 A C G T'",
            line,
            next(iter(names.values())),
            "Add the line that names the columns; the file may be truncated",
        )


def _name(text: MotifText, names: dict[str, str], line: int) -> str:
    first = [names[tag] for tag in ("AC", "ID") if names.get(tag)]
    first = first or [names[tag] for tag in ("NA", "DE") if names.get(tag)][:1]
    if not first:
        raise text.error(
            "the record has no name", line, remedy="Add a line 'ID NAME' before the matrix"
        )
    return " ".join(dict.fromkeys(first))


def _matrix(text: MotifText, name: str, number: int) -> tuple[Motif, int]:
    """Read the matrix whose columns line ``number`` names; and the index of the next line."""
    columns = [one.upper() for one in text.lines[number - 1].split()[1:]]
    letters = "".join(columns[:4])
    if sorted(columns[:4]) not in (list(LETTERS), list("ACGU")) or "".join(columns[4:5]) in PROTEIN:
        raise text.error(
            f"the columns of the matrix are {' '.join(columns) or 'not named'}, not A C G T",
            number,
            name,
            "Give motifs of DNA or RNA",
        )
    rows: list[list[float]] = []
    first = 0
    for index in range(number, len(text.lines)):
        line = text.lines[index].strip()
        if TAG.match(line):
            break
        if line:
            label, values = _row(text, name, line, index + 1)
            first = first if rows else label
            if label != first + len(rows):
                raise text.error(
                    f"position {label} follows position {first + len(rows) - 1}",
                    index + 1,
                    name,
                    "A row may be missing; download the file again",
                )
            rows.append(values)
    else:
        raise text.error(
            "the matrix does not end with 'XX' or '//'", len(text.lines), name, TRUNCATED
        )
    if not rows:
        raise text.error("the matrix has no rows", number, name, TRUNCATED)
    if "U" in letters:
        text.notice(RNA, name)
    order = [letters.replace("U", "T").index(base) for base in LETTERS]
    return text.counts(name, np.array(rows)[:, order], number), index


def _row(text: MotifText, name: str, line: str, number: int) -> tuple[int, list[float]]:
    """Label and numbers of a position. Its consensus letter may follow."""
    label, *fields = line.split()
    if not POSITION.fullmatch(label) or len(fields) < 4:
        raise text.error(f"'{line[:30]}' is not a position with 4 numbers", number, name, TRUNCATED)
    return int(label), text.numbers(fields[:4], number, name)
