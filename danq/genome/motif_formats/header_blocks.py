"""Read matrices below a line ``>NAME``: JASPAR, HOMER, HOCOMOCO, Cluster-Buster and ENCODE.

In JASPAR's files the four rows are bases, in all others each row is a position. A block of four
rows with four numbers looks the same in both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from danq.errors import InputError
from danq.genome.motif_formats.column_tables import COLUMNS
from danq.genome.motif_formats.motif_text import NUMBER, RNA, MotifText
from danq.genome.motif_matrix import LETTERS, SLACK, Motif

ROW = re.compile(r"^(?:([A-Za-z])\s*[:|=]?(?=[\s\[:|=]))?\s*(\[?)\s*(.*?)\s*(\]?)$")
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
    numbers: list[float]


@dataclass(frozen=True)
class Block:
    """A header, without ``>``, its 1-based line, and the rows below."""

    header: str
    line: int
    rows: list[Row]

    @property
    def name(self) -> str:
        """Identifier, and the name after it if it is another."""
        if self.is_homer:
            return self.header.split("\t")[1].strip() if "\t" in self.header else self.words[1]
        return " ".join(dict.fromkeys(self.words[:2]))

    @property
    def words(self) -> list[str]:
        return self.header.split()

    @property
    def is_homer(self) -> bool:
        """Whether the header is HOMER's: consensus, name, threshold of the score."""
        if any(row.letter for row in self.rows):
            return False
        fields = [field.strip() for field in self.header.split("\t")]
        if len(fields) < 3 and self.words and set(self.words[0].upper()) <= IUPAC:
            fields = self.words
        return len(fields) >= 3 and bool(NUMBER.fullmatch(fields[2])) and bool(fields[1])


def read_header_blocks(text: MotifText) -> list[Motif]:
    """Read the motifs of a file whose first line starts with ``>``.

    The name is the first word of the header, followed by the second if there is one; of a HOMER
    motif it is the second field. Rows with the letters A, C, G and T (or U) may be in any order.

    Raises
    ------
    InputError
        When the file holds sequences, a matrix has no name or no rows, its rows are neither four
        bases nor positions with four numbers, or could be both; and as `MotifText.counts`.
    """
    blocks = list(_blocks(text))
    axes: list[Axis | None] = [_axis(text, block) for block in blocks]
    known: dict[Axis, Block] = {}
    for axis, block in zip(axes, blocks, strict=True):
        if axis is not None and not block.is_homer:
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


def _blocks(text: MotifText) -> Iterator[Block]:
    starts = [i for i, line in enumerate(text.lines) if line.lstrip().startswith(">")]
    for start, end in zip(starts, [*starts[1:], len(text.lines)], strict=True):
        header = text.lines[start].strip()[1:].strip(" ")
        if not header.strip():
            raise text.error("the motif has no name", start + 1, remedy="Write '>NAME'")
        block = Block(header, start + 1, [])
        for number in range(start + 1, end):
            line = text.lines[number].strip()
            if line and not line.startswith("#"):
                block.rows.append(_row(text, line, number + 1, block.name))
        yield block


def _row(text: MotifText, line: str, number: int, name: str) -> Row:
    fields = line.split()
    if COLUMNS.fullmatch(line):
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
        raise text.error(
            "a row of the matrix has only one of the brackets [ and ]",
            number,
            name,
            "The file may be truncated; download it again",
        )
    return Row(number, letter.upper(), bool(opened), text.numbers(numbers.split(), number, name))


def _axis(text: MotifText, block: Block) -> Axis | None:
    """What the rows of a block are; None where both are possible."""
    widths = {len(row.numbers) for row in block.rows}
    letters = [row.letter for row in block.rows]
    if not block.rows:
        raise text.error(
            "the matrix has no rows", block.line, block.name, "Remove the motif, or add its rows"
        )
    if len(widths) != 1 or 0 in widths:
        raise _shape_error(text, block, "rows of unequal length")
    if block.is_homer:
        if widths != {4}:
            raise text.error(
                f"the rows of a HOMER motif have {widths.pop()} numbers, not 4 (A, C, G, T)",
                block.line,
                block.name,
                "Correct the rows",
            )
        return "positions"
    if any(letters):
        return _lettered_axis(text, block, letters)
    if len(letters) == 4:
        return "bases" if widths != {4} else None
    if widths != {4}:
        raise _shape_error(text, block, f"{len(letters)} rows")
    return "positions" if len(letters) >= LEAST_POSITIONS else None


def _lettered_axis(text: MotifText, block: Block, letters: list[str]) -> Axis:
    """As `_axis`, of rows that start with a letter: a base, or ENCODE's consensus of a position."""
    four = all(len(row.numbers) == 4 for row in block.rows)
    table = np.array([row.numbers for row in block.rows])
    positions = four and (np.abs(table.sum(axis=1) - 1) <= SLACK).all()
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
    rows = [row.numbers for row in block.rows]
    if axis is None and len(rows) == 4:
        raise text.error(
            "the matrix has 4 rows of 4 numbers, which may be the bases A, C, G, T (JASPAR) or "
            "positions (HOMER, HOCOMOCO)",
            block.line,
            block.name,
            "Start the rows of bases with the letters A, C, G and T, or write a MEME file",
        )
    if axis is None or (axis == "bases" and len(rows) != 4):
        raise _shape_error(text, block, f"{len(rows)} rows")
    table = np.array(rows)
    if axis == "positions":
        if block.is_homer:
            _check_consensus(text, block)
        return text.counts(block.name, table, block.line, [row.line for row in block.rows])
    letters = "".join(row.letter for row in block.rows)
    if "U" in letters:
        text.notice(RNA, block.name)
    order = [letters.replace("U", "T").index(base) for base in LETTERS] if letters else range(4)
    return text.counts(block.name, table[list(order)].T, block.line)


def _check_consensus(text: MotifText, block: Block) -> None:
    consensus = block.words[0]
    if set(consensus.upper()) <= IUPAC and len(consensus) != len(block.rows):
        text.notice(
            "have another number of positions than the consensus in their header; the file may be "
            "truncated",
            block.name,
        )


def _shape_error(text: MotifText, block: Block, problem: str) -> InputError:
    return text.error(
        f"the motif has {problem}, not 4 rows of equal length (A, C, G, T), nor rows of 4 numbers "
        "(one per position)",
        block.line,
        block.name,
        "Give a JASPAR, HOCOMOCO or MEME file; the file may be truncated",
    )
