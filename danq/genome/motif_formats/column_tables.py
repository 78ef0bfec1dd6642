"""Read tables with a line that names columns, and a row per position: TRANSFAC and CIS-BP."""

from __future__ import annotations

import re

from danq.genome.motif_formats.motif_text import TRUNCATED, MotifText
from danq.genome.motif_matrix import LETTERS, Motif

CIS_BP = re.compile(r"(?:(?:pos|position)\s+)?[ACGTU]\s+[ACGTU]\s+[ACGTU]\s+[ACGTU]\s*", re.I)
TRANSFAC = re.compile(r"(P0|PO)(\s+[A-Z]\b|$)", re.I)
TAG = re.compile(r"([A-Z][A-Z0-9]|//)(\s|$)")
PROTEIN = tuple("DEFHIKLMNPQRSVWY")
"""Names of a fifth column in matrices of protein."""


def read_cis_bp(text: MotifText) -> list[Motif]:
    """Read tables with a line ``Pos A C G T`` and one row per position, as CIS-BP writes them.

    The name is that of a line ``Motif NAME`` or ``Gene NAME`` before the table, otherwise that of
    the file.

    Raises
    ------
    InputError
        When one of several tables has no name; and as `MotifText.bases`, `MotifText.positions`
        and `MotifText.motif`.
    """
    motifs: list[Motif] = []
    starts = [i for i, line in enumerate(text.lines) if CIS_BP.fullmatch(line.strip())]
    for number, start in enumerate(starts):
        before = starts[number - 1] + 1 if number else 0
        fields = [line.split() for line in text.lines[before:start]]
        names = {words[0]: words[1] for words in fields if len(words) > 1}
        name = text.name_or_file(
            names.get("Motif") or names.get("Gene", ""),
            start + 1,
            "Add a line 'Motif<tab>NAME' before it",
            alone=len(starts) == 1,
        )
        columns = text.lines[start].split()
        order = text.bases(columns[-4:], start + 1, name)
        rows, _ = text.positions(
            start + 1,
            name,
            numbered=len(columns) > 4,
            empty="CIS-BP leaves out the matrices of TRANSFAC, which need a license; remove this "
            "file",
        )
        lines = [f">{name}", " ".join(order), *(" ".join(row) for row in rows.values())]
        table = text.parse("pfm-four-columns", lines, len(rows), start + 1, name)
        motifs.append(text.motif(name, table, start + 1, list(rows)))
    return motifs


def read_transfac(text: MotifText) -> list[Motif]:
    """Read the motifs of TRANSFAC records, as TRANSFAC, JASPAR, RSAT and SwissRegulon write them.

    The name is the accession (``AC``), followed by the identifier (``ID``) if it is another;
    otherwise ``NA`` or ``DE``. Columns are read by the letters of the line ``P0`` or ``PO``.

    Raises
    ------
    InputError
        When a record has no name, no matrix, two matrices, or a matrix of protein or that does
        not end with ``XX`` or ``//``; and as `MotifText.bases`, `MotifText.positions` and
        `MotifText.motif`.
    """
    starts = [i + 1 for i, line in enumerate(text.lines) if line.strip().startswith("//")]
    ends = [*starts, len(text.lines)]
    records = (_record(text, start, end) for start, end in zip([0, *starts], ends, strict=True))
    return [motif for motif in records if motif is not None]


def _record(text: MotifText, start: int, end: int) -> Motif | None:
    """Read the record in lines ``[start, end)``; None if it has neither a name nor a matrix."""
    tags: dict[str, str] = {}
    first = 0
    for number, line in enumerate(text.lines[start:end], start=start + 1):
        tag, value = line.strip()[:2], line.strip()[2:].strip()
        if tag in ("AC", "ID", "NA", "DE") and TAG.match(line.strip()):
            first = first or number
            tags.setdefault(tag, value)
    names = [tags[tag] for tag in ("AC", "ID") if tags.get(tag)]
    names = names or [tags[tag] for tag in ("NA", "DE") if tags.get(tag)][:1]
    name = " ".join(dict.fromkeys(names))
    heads = [i + 1 for i in range(start, end) if TRANSFAC.match(text.lines[i].strip())]
    if not heads and tags:
        raise text.error(
            "the record has no matrix with a line 'P0 A C G T'",
            first,
            name,
            "Add the line that names the columns; the file may be truncated",
        )
    if not heads:
        return None
    if len(heads) > 1:
        raise text.error(
            "the record has a second matrix", heads[1], name, "End each record with '//'"
        )
    if not name:
        raise text.error(
            "the record has no name", heads[0], remedy="Add a line 'ID NAME' before the matrix"
        )
    return _matrix(text, name, heads[0])


def _matrix(text: MotifText, name: str, line: int) -> Motif:
    """Read the matrix whose columns line ``line`` (1-based) names."""
    columns = text.lines[line - 1].upper().split()[1:]
    protein = "".join(columns[4:5]) in PROTEIN
    order = text.bases(columns if protein else columns[:4], line, name)
    rows, index = text.positions(line, name, TAG, numbered=True, more=True)
    if index == len(text.lines) or not TAG.match(text.lines[index].strip()):
        raise text.error("the matrix does not end with 'XX' or '//'", index, name, TRUNCATED)
    # Biopython reads columns only in this order, and positions only from 1.
    lines = [f"ID  {name}", "P0  A  C  G  T"]
    for k, row in enumerate(rows.values(), start=1):
        lines.append(f"{k:02d}  {' '.join(row[order.index(base)] for base in LETTERS)}")
    table = text.parse("transfac", [*lines, "XX", "//"], len(rows), line, name)
    return text.motif(name, table, line, list(rows))
