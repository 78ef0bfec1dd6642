"""Read MEME's formats: minimal, and the text outputs of MEME, DREME and STREME."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from danq.genome.motif_formats.motif_text import NUMBER, RNA, MotifText
from danq.genome.motif_matrix import Motif

MATRIX = "letter-probability matrix"
END = re.compile(r"(MOTIF|URL|BL)\b|[-*=_]{3,}\s*$|\w+-\w+ matrix|//")
"""Start of a line that ends a matrix."""

STARS = re.compile(r"\*{3,}")

MIN_NUMBERS = 3
"""Number of numbers that make a line a row, also after a first field that is none."""

TRUNCATED = "The file may be truncated; download it again"


@dataclass
class _Open:
    """A motif whose matrix has not been read."""

    name: str
    line: int
    comment: dict[str, str] = field(default_factory=dict)
    log_odds: bool = False


def read_meme(text: MotifText) -> list[Motif]:
    """Read the motifs of MEME's formats, versions 3 to 5.

    The name of a motif is the first word after ``MOTIF``. The number of sites is None when it is
    missing or not a number of at least 1 (but 0 stays 0). Lines ``# key=value`` between the name
    and the matrix are the comment.

    Raises
    ------
    InputError
        When the alphabet is not that of DNA or RNA, a motif has no name or not exactly one
        matrix of probabilities, or the matrix has other rows than its header states, or rows that
        are not four numbers of at least 0 that sum to 1.
    """
    motifs: list[Motif] = []
    rna = False
    motif: _Open | None = None
    index = 0
    while index < len(text.lines):
        line = text.lines[index].strip()
        index += 1
        if re.match(r"ALPHABET\b", line):
            index, rna = _read_alphabet(text, index)
        elif line.split()[:1] == ["MOTIF"]:
            _check_matrix(text, motif)
            motif = _open(text, line, index)
        elif line.lower().startswith(MATRIX):
            if motif is None:
                raise text.error(
                    "the matrix does not follow a line 'MOTIF NAME', or is the second of a motif",
                    index,
                    remedy="Write a line 'MOTIF NAME' before it, or remove it",
                )
            found, index = _read_matrix(text, motif, index)
            motifs.append(found)
            if rna:
                text.notice(RNA, found.name)
            motif = None
        elif motif is not None and line.startswith("# "):
            motif.comment |= dict(pair.split("=", 1) for pair in line.split() if "=" in pair)
        elif motif is not None and line.startswith("log-odds matrix"):
            motif.log_odds = True
    _check_matrix(text, motif)
    return motifs


def _open(text: MotifText, line: str, number: int) -> _Open:
    words = line.split()
    if len(words) == 1:
        raise text.error("the motif has no name", number, remedy="Write 'MOTIF NAME'")
    return _Open(words[1], number)


def _check_matrix(text: MotifText, motif: _Open | None) -> None:
    if motif is None:
        return
    if motif.log_odds:
        raise text.error(
            "the motif has only a matrix of log odds",
            motif.line,
            motif.name,
            f"Give a file with a '{MATRIX}'",
        )
    raise text.error(f"the motif has no '{MATRIX}'", motif.line, motif.name, TRUNCATED)


def _read_alphabet(text: MotifText, number: int) -> tuple[int, bool]:
    """Check the alphabet that starts in line ``number`` (1-based).

    Returns
    -------
    tuple
        Index of the next line, and whether the alphabet is that of RNA.
    """
    line = text.lines[number - 1].strip()
    given = re.fullmatch(r"ALPHABET\s*(?:=\s*([\w\s*.-]*)|\s([A-Za-z]+))", line)
    if given:
        letters = "".join((given[1] or given[2] or "").split()).upper()
        end = number
    else:
        end = _end_of_alphabet(text, number)
        # The columns of a matrix are in the order of the alphabet, not of these lines.
        letters = "".join(sorted(_core_letters(text.lines[number:end])))
        end += 1
    if letters in ("ACGT", "ACGU"):
        return end, letters == "ACGU"
    if sorted(letters) in (list("ACGT"), list("ACGU")):
        remedy = "Put the columns in the order A, C, G, T, and write 'ALPHABET= ACGT'"
    else:
        remedy = "Give motifs of DNA or RNA; motifs of protein and other letters cannot be read"
    raise text.error(f"the alphabet is '{letters}', not ACGT or ACGU", number, remedy=remedy)


def _end_of_alphabet(text: MotifText, number: int) -> int:
    """Index of the line after a block's letters; in MEME's text output asterisks enclose them."""
    letters = False
    for index in range(number, len(text.lines)):
        line = text.lines[index].strip()
        if line.split() == ["END", "ALPHABET"] or (letters and STARS.fullmatch(line)):
            return index
        letters = letters or bool(line and not STARS.fullmatch(line))
    raise text.error("the alphabet has no line 'END ALPHABET'", number, remedy=TRUNCATED)


def _core_letters(lines: Sequence[str]) -> set[str]:
    """Letters of an alphabet's definition, without the ambiguous ones (``N = ACGT``)."""
    letters: set[str] = set()
    for line in lines:
        plain = re.sub(r'"[^"]*"', " ", line).strip()
        if plain and "=" not in plain and not plain.startswith(("#", "***")):
            letters |= {side.split()[0] for side in plain.split("~") if side.split()}
    return letters


def _read_matrix(text: MotifText, motif: _Open, number: int) -> tuple[Motif, int]:
    """Read the matrix whose header is line ``number``; the motif and the index of the next line."""
    header = _header(text.lines[number - 1])
    alphabet = header.get("alength", "4")
    if alphabet != "4":
        raise text.error(
            f"the matrix has alength= {alphabet}, not 4",
            number,
            motif.name,
            "Give motifs of DNA or RNA",
        )
    stated = header.get("w")
    if stated is not None and not re.fullmatch("[0-9]+", stated):
        raise text.error(
            f"the number of positions, w= {stated}, is not a whole number",
            number,
            motif.name,
            "Correct it, or remove 'w='",
        )
    rows, lines, index = _read_rows(text, motif.name, number)
    if stated is not None and int(stated) != len(rows):
        raise text.error(
            f"the matrix has {len(rows)} rows, but its header has w= {stated}",
            number,
            motif.name,
            TRUNCATED,
        )
    if not rows:
        raise text.error("the matrix has no rows", number, motif.name, TRUNCATED)
    if stated is None:
        text.notice("have no 'w=' in their header, so their rows cannot be counted", motif.name)
    nsites = _sites(text, motif.name, header.get("nsites"))
    return text.frequencies(motif.name, rows, lines, nsites, motif.comment), index


def _header(line: str) -> dict[str, str]:
    """Values of a matrix header, in which blanks around ``=`` are optional."""
    pairs = re.findall(r"(\w+)\s*=\s*(?!\w+\s*=)(\S+)", line)
    return dict(pairs)


def _sites(text: MotifText, name: str, given: str | None) -> int | None:
    if given is None:
        return None
    value = float(given) if NUMBER.fullmatch(given) else -1.0
    if value == 0:
        return 0
    if 1 <= value < float("inf"):
        return round(value)
    text.notice("have an 'nsites=' that is not a number of sites; it is ignored", name)
    return None


def _read_rows(text: MotifText, name: str, start: int) -> tuple[list[list[float]], list[int], int]:
    """Rows of the matrix from index ``start``, their 1-based lines, and the next index."""
    rows: list[list[float]] = []
    lines: list[int] = []
    for index in range(start, len(text.lines)):
        line = text.lines[index].strip()
        if not line or line.startswith("#"):
            continue
        fields = line.split()
        numbers = sum(NUMBER.fullmatch(one) is not None for one in fields)
        number_like = line[0] in "+-.0123456789" or fields[0].lower() in ("nan", "inf")
        if END.match(line) or not (number_like or numbers >= MIN_NUMBERS):
            return rows, lines, index
        if len(fields) != 4:
            raise text.error(
                f"a row of the matrix has {len(fields)} numbers, not 4 (A, C, G, T)",
                index + 1,
                name,
                "Correct the row; motifs of protein cannot be read",
            )
        rows.append(text.numbers(fields, index + 1, name))
        lines.append(index + 1)
    return rows, lines, len(text.lines)
