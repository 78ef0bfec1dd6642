"""Read MEME's formats: minimal, and the text outputs of MEME, DREME and STREME."""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Sequence

from danq.errors import InputError
from danq.genome.motif_formats.motif_text import NUMBER, RNA, TRUNCATED, MotifText
from danq.genome.motif_matrix import SLACK, Motif

MATRIX = "letter-probability matrix"
STARS = re.compile(r"\*{3,}")
HEAD = (
    "MEME version 4\n\nALPHABET= ACGT\n\n"
    "Background letter frequencies\nA 0.25 C 0.25 G 0.25 T 0.25\n"
)
"""First lines, which Biopython requires; MEME's alphabets have forms that it does not read."""

FINE = 10**15
"""Number of sites that Biopython is given: it rounds frequencies to counts of that many sites."""


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
    lines = [line.strip() for line in text.lines]
    alphabets = {
        index: _alphabet(text, index + 1)
        for index, line in enumerate(lines)
        if re.match(r"ALPHABET\b", line)
    }
    matrices = [i for i, line in enumerate(lines) if line.lower().startswith(MATRIX)]
    starts = [i for i, line in enumerate(lines) if line.split()[:1] == ["MOTIF"]]
    motifs = []
    for start, end in zip([-1, *starts], [*starts, len(lines)], strict=True):
        inside = matrices[bisect(matrices, start) : bisect(matrices, end)]
        if len(inside) > (start >= 0):
            raise text.error(
                "the matrix does not follow a line 'MOTIF NAME', or is the second of a motif",
                inside[-1] + 1,
                remedy="Write a line 'MOTIF NAME' before it, or remove it",
            )
        if start < 0:
            continue
        name = "".join(lines[start].split()[1:2])
        if not name:
            raise text.error("the motif has no name", start + 1, remedy="Write 'MOTIF NAME'")
        if not inside:
            raise _missing(text, name, start + 1, lines[start:end])
        pairs = [one.split() for one in lines[start : inside[0]] if one.startswith("# ")]
        comment = dict(pair.split("=", 1) for fields in pairs for pair in fields if "=" in pair)
        motifs.append(_read_matrix(text, name, inside[0] + 1, comment))
        if [letters for index, letters in alphabets.items() if index < start][-1:] == ["ACGU"]:
            text.notice(RNA, name)
    return motifs


def _missing(text: MotifText, name: str, number: int, lines: Sequence[str]) -> InputError:
    if any(line.startswith("log-odds matrix") for line in lines):
        remedy = f"Give a file with a '{MATRIX}'"
        return text.error("the motif has only a matrix of log odds", number, name, remedy)
    return text.error(f"the motif has no '{MATRIX}'", number, name, TRUNCATED)


def _alphabet(text: MotifText, number: int) -> str:
    """Check the alphabet that starts in line ``number`` (1-based): ACGT or ACGU."""
    line = text.lines[number - 1].strip()
    given = re.fullmatch(r"ALPHABET\s*(?:=\s*([\w\s*.-]*)|\s([A-Za-z]+))", line)
    if given:
        letters = "".join((given[1] or given[2] or "").split()).upper()
    else:
        # The columns of a matrix are in the order of the alphabet, not of these lines.
        letters = "".join(sorted(_core_letters(text, number)))
    if letters in ("ACGT", "ACGU"):
        return letters
    raise text.error(
        f"the alphabet is '{letters}', not ACGT or ACGU",
        number,
        remedy="Give motifs of DNA or RNA, with their columns in the order A, C, G, T",
    )


def _core_letters(text: MotifText, number: int) -> set[str]:
    """Letters of a block that defines an alphabet, without the ambiguous ones (``N = ACGT``).

    In MEME's text output asterisks enclose the block.
    """
    letters: set[str] = set()
    for line in text.lines[number:]:
        plain = re.sub(r'"[^"]*"', " ", line).strip()
        if plain.split() == ["END", "ALPHABET"] or (letters and STARS.fullmatch(plain)):
            return letters
        if plain and "=" not in plain and not plain.startswith(("#", "***")):
            letters |= {side.split()[0] for side in plain.split("~") if side.split()}
    raise text.error("the alphabet has no line 'END ALPHABET'", number, remedy=TRUNCATED)


def _read_matrix(text: MotifText, name: str, number: int, comment: dict[str, str]) -> Motif:
    """Read the matrix whose header is line ``number`` (1-based)."""
    pairs = re.findall(r"(\w+)\s*=\s*(?!\w+\s*=)(\S+)", text.lines[number - 1])
    header: dict[str, str] = dict(pairs)
    if header.get("alength", "4") != "4":
        raise text.error(
            f"the matrix has alength= {header['alength']}, not 4",
            number,
            name,
            "Give motifs of DNA or RNA",
        )
    rows, _ = text.positions(number, name)
    stated = header.get("w")
    if stated is None:
        text.notice("have no 'w=' in their header, so their rows cannot be counted", name)
    elif not stated.isdecimal() or int(stated) != len(rows):
        raise text.error(
            f"the matrix has {len(rows)} rows, but its header has w= {stated}",
            number,
            name,
            TRUNCATED,
        )
    nsites = _sites(text, name, header.get("nsites"))
    lines = [HEAD, f"MOTIF {name}", f"{MATRIX}: alength= 4 w= {len(rows)} nsites= {FINE}"]
    lines += [" ".join(row) for row in rows.values()]
    table = text.parse("minimal", lines, len(rows), number, name) / FINE
    for line, row in zip(rows, table, strict=True):
        if row.min() < 0 or abs(row.sum() - 1) > SLACK:
            shown = " ".join(f"{value:g}" for value in row)
            raise text.error(
                f"the frequencies ({shown}) sum to {row.sum():.4g}, not to 1, or are negative",
                line,
                name,
                "Give the frequencies of A, C, G and T: divide counts by their sum; log odds "
                "cannot be read",
            )
    return Motif(name, table, nsites, comment or None)


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
