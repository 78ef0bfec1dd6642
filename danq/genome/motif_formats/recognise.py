"""Recognise the format of a motif file by its lines, and name formats that have no reader."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from danq.errors import InputError
from danq.genome.motif_formats import column_tables, header_blocks
from danq.genome.motif_formats.meme import MATRIX, read_meme
from danq.genome.motif_formats.motif_text import NUMBER, MotifText
from danq.genome.motif_matrix import Motif

FORMATS = "MEME, JASPAR, HOMER, HOCOMOCO, Cluster-Buster, TRANSFAC, CIS-BP and UniPROBE"
EXPORT = "Export the motifs in MEME format, for example with 'write_meme' of universalmotif"

SITES = "Make matrices of aligned sites first, for example with 'sites2meme' of MEME Suite"

REPORTS: tuple[tuple[str, str, str], ...] = (
    (r"#?Query[_ ]ID\t", "is a table of Tomtom's matches, without matrices", EXPORT),
    (
        r"#?(motif_id|pattern name|rank\tmotif|rank\tdb|db\tid|db_id)",
        "is a table of motif occurrences or enrichment, without matrices",
        "Give the file of motifs that was searched with",
    ),
    (r"#?filter\t(sites|motif)\t", "is a table of 'danq motifs'", "Give filters.meme instead"),
    (
        r"Motif Name\tConsensus",
        "is HOMER's table of results, without matrices",
        "Give the .motif files that HOMER wrote",
    ),
    (r"(#.*universalmotif|Motif name:)", "is text of universalmotif", EXPORT),
    (
        r"(MAST|FIMO|Tomtom|CentriMo|AME) (-|version)",
        "is a report of MEME Suite, without matrices",
        "Give the file of motifs that was searched with",
    ),
    (r"(AlignACE|#INCLUSive|Gibbs) ", "is the output of a motif finder without a reader", EXPORT),
    (r"<[a-z]", "is XML, such as XMS", EXPORT),
)
"""Pattern of one of the first lines, problem and remedy of files that may look like tables."""

OTHERS: tuple[tuple[str, str, str], ...] = (
    (r"[ACGTUN-]{4,}(\s|$)", "is a list of sequences, not of matrices", SITES),
    (r"@", "looks like FASTQ or SAM", "Give a file of motifs"),
)
"""The same of other files, by their first line."""

FIRST_LINES = 3


def select_reader(text: MotifText) -> Callable[[MotifText], list[Motif]]:
    """The function that reads a file, by its lines.

    Raises
    ------
    InputError
        When the file has no format that danq reads, with the name of the format if it is known.
    """
    lines = [line.strip() for line in text.lines if line.strip()]
    if any(line.startswith("MEME version") for line in lines):
        return read_meme
    content = [line for line in lines if not line.startswith("#")]
    first = content[0] if content else ""
    if first.startswith(">"):
        return header_blocks.read_header_blocks
    _refuse(text, REPORTS, [*lines[:FIRST_LINES], first])
    transfac = re.match(r"(AC|ID|VV|NA|DE|XX)(\s|$)", first)
    if transfac or any(column_tables.TRANSFAC.match(line) for line in content):
        return column_tables.read_transfac
    if any(column_tables.CIS_BP.fullmatch(line) for line in content):
        return column_tables.read_cis_bp
    if any(header_blocks.BASE_ROW.fullmatch(line) for line in content):
        return header_blocks.read_base_rows
    raise _unknown(text, lines, first)


def _refuse(text: MotifText, formats: Sequence[tuple[str, str, str]], lines: Sequence[str]) -> None:
    for pattern, problem, remedy in formats:
        if any(re.match(pattern, line, re.IGNORECASE) for line in lines):
            raise text.error(problem, remedy=remedy)


def _unknown(text: MotifText, lines: list[str], first: str) -> InputError:
    if any(line.lower().startswith(MATRIX) for line in lines):
        return text.error(
            "has matrices of MEME but no line 'MEME version'",
            remedy="Add the line 'MEME version 4' at the top; the first lines may be missing",
        )
    _refuse(text, OTHERS, [first])
    if first and all(NUMBER.fullmatch(field) for field in first.split()):
        return text.error(
            "has a matrix without a name",
            remedy="Write a line '>NAME' before the rows of each motif, and start the rows of "
            "bases with A, C, G and T",
        )
    return text.error(
        "has no format of motifs that danq knows",
        remedy=f"Give a file in one of these formats: {FORMATS}",
    )
