"""Read matrices in blocks of rows below a name.

In JASPAR's and UniPROBE's files the four rows are bases. In those of HOMER, HOCOMOCO,
Cluster-Buster and ENCODE each row is a position. A block of four rows with four numbers looks the
same in both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np

from danq.errors import InputError
from danq.genome.motif_formats.column_tables import CIS_BP
from danq.genome.motif_formats.motif_text import NUMBER, TRUNCATED, MotifText
from danq.genome.motif_matrix import LETTERS, SLACK, Motif

ROW = re.compile(r"^(?:([A-Za-z])\s*[:|=]?(?=[\s\[:|=]))?\s*(\[?)\s*(.*?)\s*(\]?)$")
BASE_ROW = re.compile(r"([ACGTU])(?:\s*[:|=]|\s|(?=\[))\s*\[?\s*([-+.0-9][^\]]*?)\s*\]?", re.I)
"""Row of a base in a file without lines ``>NAME``."""

RANKED = re.compile(r"[0-9]+\s+([ACGTN.]+)\s+[-+.0-9eE]+")
"""Line of UniPROBE with the rank, sequence and score of a motif."""

POSITIONS = re.compile(r"(PO|base)(\s+[0-9]+)+", re.I)
OTHER_MATRIX = re.compile(r"(enrichment score|energy|reverse complement) matrix", re.I)
"""Title of a matrix of UniPROBE that does not hold base frequencies."""

SEQUENCE = re.compile(r"[A-Za-z*.~-]+")
WORDS = frozenset({"nan", "inf", "na", "none", "null", "-nan", "-inf"})
"""Words that stand for a number that is missing."""

IUPAC = frozenset("ACGTUMRWSYKVHDBN")
LEAST_POSITIONS = 5
"""Smallest number of rows from which rows of four numbers are certainly positions."""

Axis = Literal["bases", "positions"]


class Row(NamedTuple):
    """A row of a block: its 1-based line, its letter or "", and its numbers."""

    line: int
    letter: str
    bracket: bool
    fields: list[str]


class Block(NamedTuple):
    """A motif's name, its 1-based line, HOMER's consensus or "", and the rows below."""

    name: str
    line: int
    consensus: str
    rows: list[Row]


def read_header_blocks(text: MotifText) -> list[Motif]:
    """Read the motifs of a file whose first line starts with ``>``.

    The name is the first word of the header, followed by the second if there is one; of a HOMER
    motif it is the second field. Rows with the letters A, C, G and T (or U) may be in any order.

    Raises
    ------
    InputError
        When the file holds sequences, a matrix has no name or no rows, its rows are neither four
        bases nor positions with four numbers, or could be both; and as `MotifText.motif`.
    """
    blocks = list(_blocks(text))
    axes: list[Axis | None] = [_axis(text, block) for block in blocks]
    known: dict[Axis, Block] = {}
    for axis, block in zip(axes, blocks, strict=True):
        if axis is not None and not block.consensus:
            known.setdefault(axis, block)
    if len(known) > 1:
        raise text.error(
            f"the rows of the motif are bases, but those of '{known['positions'].name}' are "
            "positions",
            known["bases"].line,
            known["bases"].name,
            "Put matrices with four rows (JASPAR) and with four columns (HOCOMOCO) into "
            "different files",
        )
    usual = next(iter(known), None)
    return [_motif(text, block, axis or usual) for block, axis in zip(blocks, axes, strict=True)]


def read_base_rows(text: MotifText) -> list[Motif]:
    """Read blocks of four rows that start with a base, without a line ``>NAME``, as in UniPROBE.

    The name is that of the line before a block, without ``Protein:`` and what follows a tab,
    otherwise that of the file. Of the matrices that UniPROBE writes for a motif, the probability
    matrix is read.

    Raises
    ------
    InputError
        When a block does not have one row for each base, rows of unequal length, or no name
        although there are several blocks; and as `MotifText.motif`.
    """
    blocks: list[Block] = []
    name, inside, skipped = "", False, False
    for number, line in enumerate(text.lines, start=1):
        stripped = line.strip()
        match = BASE_ROW.fullmatch(stripped)
        if match is None:
            title = stripped.lower()
            inside = inside and not stripped
            if OTHER_MATRIX.match(title):
                skipped = True
            elif title == "probability matrix":
                skipped = False
            elif stripped and not stripped.startswith("#") and not POSITIONS.fullmatch(stripped):
                ranked = RANKED.fullmatch(stripped)
                words = re.sub(r"^(Protein|Gene):", "", stripped.split("\t")[0]).strip()
                name, skipped = ranked[1] if ranked else words, False
        elif not skipped:
            if not inside:
                blocks.append(Block(name, number, "", []))
                name, inside = "", True
            fields = match[2].split()
            text.check_numbers(fields, number, blocks[-1].name)
            blocks[-1].rows.append(Row(number, match[1].upper(), True, fields))
    if not blocks:
        raise text.error(
            "has no probability matrix", remedy="Give a file with the base frequencies of motifs"
        )
    remedy = "Write its name in the line before"
    motifs = []
    for block in blocks:
        name = text.name_or_file(block.name, block.line, remedy, alone=len(blocks) == 1)
        block = block._replace(name=name)
        motifs.append(_motif(text, block, _axis(text, block)))
    return motifs


def _blocks(text: MotifText) -> Iterator[Block]:
    starts = [i for i, line in enumerate(text.lines) if line.lstrip().startswith(">")]
    for start, end in zip(starts, [*starts[1:], len(text.lines)], strict=True):
        header = text.lines[start].strip()[1:].strip(" ")
        words = header.split()
        if not words:
            raise text.error("the motif has no name", start + 1, remedy="Write '>NAME'")
        lines = [(number + 1, text.lines[number].strip()) for number in range(start + 1, end)]
        lines = [(number, line) for number, line in lines if line and not line.startswith("#")]
        fields = [field.strip() for field in header.split("\t")]
        if len(fields) < 3 and set(words[0].upper()) <= IUPAC:
            fields = words
        # HOMER's header: consensus, name, threshold of the score.
        homer = len(fields) >= 3 and fields[1] and NUMBER.fullmatch(fields[2])
        if homer and not any(line[0].isalpha() for _, line in lines):
            name, consensus = fields[1], fields[0] or words[0]
        else:
            name, consensus = " ".join(dict.fromkeys(words[:2])), ""
        rows = [_row(text, line, number, name) for number, line in lines]
        yield Block(name, start + 1, consensus, rows)


def _row(text: MotifText, line: str, number: int, name: str) -> Row:
    fields = line.split()
    if CIS_BP.fullmatch(line):
        raise text.error(
            "the line names columns",
            number,
            name,
            "Remove it if the order of the columns is A, C, G, T; otherwise write a MEME file",
        )
    if all(SEQUENCE.fullmatch(one) and one.lower() not in WORDS for one in fields):
        raise text.error(
            f"'{line[:20]}' is a sequence, so the file is FASTA or a list of sites, not matrices",
            number,
            name,
            "Make matrices of aligned sites first, for example with 'sites2meme' of MEME Suite",
        )
    letter, opened, numbers, closed = ROW.findall(line)[0]
    if bool(opened) != bool(closed):
        problem = "a row of the matrix has only one of the brackets [ and ]"
        raise text.error(problem, number, name, TRUNCATED)
    text.check_numbers(numbers.split(), number, name)
    return Row(number, letter.upper(), bool(opened), numbers.split())


def _axis(text: MotifText, block: Block) -> Axis | None:
    """What the rows of a block are; None where both are possible."""
    if not block.rows:
        raise text.error(
            "the matrix has no rows", block.line, block.name, "Remove the motif, or add its rows"
        )
    widths = {len(row.fields) for row in block.rows}
    if len(widths) != 1 or 0 in widths:
        raise _shape_error(text, block, "rows of unequal length")
    if not block.consensus and any(row.letter for row in block.rows):
        return _lettered_axis(text, block)
    if widths == {4}:
        certain = block.consensus or len(block.rows) >= LEAST_POSITIONS
        return "positions" if certain else None
    if block.consensus or len(block.rows) != 4:
        raise _shape_error(text, block, f"{len(block.rows)} rows")
    return "bases"


def _lettered_axis(text: MotifText, block: Block) -> Axis:
    """As `_axis`, of rows that start with a letter: a base, or ENCODE's consensus of a position."""
    letters = [row.letter for row in block.rows]
    table = np.array([row.fields for row in block.rows]).astype(np.float64)
    positions = table.shape[1] == 4 and (np.abs(table.sum(axis=1) - 1) <= SLACK).all()
    bracket = any(row.bracket for row in block.rows)
    if sorted(letters) in (list(LETTERS), list("ACGU")):
        if positions and not bracket and not np.array_equal(table, table.T):
            raise text.error(
                "each of the four rows sums to 1, so the rows may be the positions of a motif "
                "ACGT (ENCODE) or bases (JASPAR)",
                block.line,
                block.name,
                "Write bases as 'A [ ... ]', or positions as a MEME matrix",
            )
        return "bases"
    if positions and not bracket and set(letters) <= IUPAC:
        return "positions"
    raise text.error(
        f"the rows are called {', '.join(one or 'nothing' for one in letters[:6])}, not A, C, G, T",
        block.line,
        block.name,
        "Give one row for each base; motifs of protein cannot be read",
    )


def _motif(text: MotifText, block: Block, axis: Axis | None) -> Motif:
    rows = block.rows
    name, line = block.name, block.line
    if axis is None and len(rows) == 4:
        raise text.error(
            "the matrix has 4 rows of 4 numbers, which may be the bases A, C, G, T (JASPAR) or "
            "positions (HOMER, HOCOMOCO)",
            line,
            name,
            "Start the rows of bases with the letters A, C, G and T, or write a MEME file",
        )
    if axis is None or (axis == "bases" and len(rows) != 4):
        raise _shape_error(text, block, f"{len(rows)} rows")
    if axis == "positions":
        consensus = block.consensus.upper()
        if consensus and set(consensus) <= IUPAC and len(consensus) != len(rows):
            text.notice(
                "have another number of positions than the consensus in their header; the file "
                "may be truncated",
                name,
            )
        # Biopython takes a row that starts with A, C, G or T for the names of columns.
        lines = [f">{name}", *(" ".join(row.fields) for row in rows)]
        table = text.parse("pfm-four-columns", lines, len(rows), line, name)
        return text.motif(name, table, line, [row.line for row in rows])
    letters = [row.letter for row in rows]
    order = text.bases(letters if any(letters) else LETTERS, line, name)
    lines = (f"{base} [ {' '.join(row.fields)} ]" for base, row in zip(order, rows, strict=True))
    table = text.parse("jaspar", [f">{name}", *lines], len(rows[0].fields), line, name)
    return text.motif(name, table, line)


def _shape_error(text: MotifText, block: Block, problem: str) -> InputError:
    return text.error(
        f"the motif has {problem}, not 4 rows of equal length (A, C, G, T), nor rows of 4 numbers "
        "(one per position)",
        block.line,
        block.name,
        "Give a JASPAR, HOCOMOCO or MEME file; the file may be truncated",
    )
