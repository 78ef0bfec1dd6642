"""Errors of FASTA files."""

from __future__ import annotations

import re
from pathlib import Path

from danq.errors import InputError
from danq.files.text_tables import not_utf8
from danq.names import check_name as check_legal

_SEQUENCES: tuple[tuple[str, str, str], ...] = (
    (r"@(?!HD\t|SQ\t)", "is FASTQ, not FASTA", "Convert it: seqtk seq -a FILE.fastq"),
    (r"@(HD|SQ)\t", "holds SAM alignments, not FASTA", "Convert it: samtools fasta FILE.sam"),
    (r";", "begins with a comment of old FASTA (';')", "Remove these lines: grep -v '^;' FILE"),
    (r"LOCUS\s", "is GenBank, not FASTA", "Convert it, for example with 'seqret' of EMBOSS"),
    (r"ID {3}", "is EMBL, not FASTA", "Convert it, for example with 'seqret' of EMBOSS"),
    (
        r"# STOCKHOLM|CLUSTAL|#NEXUS|\s*\d+\s+\d+\s*$",
        "is an alignment, not FASTA",
        "Convert it to FASTA without gaps, for example with: seqkit seq -g",
    ),
)
_TABLES: tuple[tuple[str, str, str], ...] = (
    (r"##fileformat=VCF|#CHROM\t", "is a VCF, not FASTA", "Give the FASTA of the genome"),
    (r"##gff|##gtf", "is GFF or GTF, not FASTA", "Give the FASTA of the genome"),
    (
        r"[^\t]+\t\d+\t\d+(\t|$)",
        "looks like BED or an index, not FASTA",
        "Give the FASTA of the genome",
    ),
    (r"\S+\t\d+\s*$", "is a table of contig lengths, not FASTA", "Give the FASTA of the genome"),
)
_SURROGATE = re.compile("[\udc80-\udcff]")
MAX_HEADER = 1 << 20
"""Largest number of bytes of a header line."""
_LINES_DIFFER = (
    "Only a record's last line may be shorter; rewrap the file, for example with 'seqkit seq -w 60'"
)


def headless(path: Path, line: int | None, text: bytes = b"") -> InputError:
    """Make the error for a file without a FASTA header, or with text before the first.

    Parameters
    ----------
    path
        The file.
    line
        1-based line of the first text.
    text
        Text from there on, from whose first line other formats are recognised.
    """
    for pattern, problem, remedy in (*_SEQUENCES, *_TABLES):
        if re.match(pattern, _first_line(text)):
            return InputError(problem, file=path, line=line, remedy=remedy)
    return InputError(
        "is not FASTA: no line '>name' before the sequence",
        file=path,
        line=line,
        remedy="Check that it is a FASTA file of DNA",
    )


def check_sequences(path: Path, text: bytes) -> None:
    """Refuse a file of sequences in another format than FASTA.

    Parameters
    ----------
    path
        The file.
    text
        The file from its first character that is not blank.

    Raises
    ------
    InputError
        When it is FASTQ, SAM, GenBank, EMBL, an alignment, or FASTA with comments.
    """
    for pattern, problem, remedy in _SEQUENCES:
        if re.match(pattern, _first_line(text)):
            raise InputError(problem, file=path, remedy=remedy)


def check_name(name: str, path: Path, line: int) -> None:
    """Refuse the name of a record that is empty, not UTF-8, or as `danq.names.check_name`.

    Raises
    ------
    InputError
        With the line of the record's header.
    """
    if not name:
        raise _nameless(path, line)
    if not name.isascii() and _SURROGATE.search(name):
        raise not_utf8(path, line)
    check_legal(name, "record", file=path, line=line)


def long_header(path: Path, line: int) -> InputError:
    """Make the error for a header line of more than `MAX_HEADER` bytes."""
    return InputError(
        f"a header line has more than {MAX_HEADER >> 20} MiB",
        file=path,
        line=line,
        remedy="Check that the file is FASTA, and that its lines end",
    )


def _nameless(path: Path, line: int) -> InputError:
    return InputError(
        "a header line has no name after '>'",
        file=path,
        line=line,
        remedy="Give every record a name",
    )


def duplicate_name(path: Path, name: str, line: int | None = None) -> InputError:
    """Make the error for two records of a genome with the same name."""
    return InputError(
        "an earlier record has the same name",
        file=path,
        line=line,
        record=name,
        remedy="Names end at the first blank; give every record a unique name",
    )


def empty_record(path: Path, name: str, line: int | None = None) -> InputError:
    """Make the error for a record without sequence."""
    return InputError(
        "the record has no sequence",
        file=path,
        line=line,
        record=name,
        remedy="Remove it from the file, or copy the file again if it is truncated",
    )


def unequal_lines(path: Path, name: str, line: int, kind: str) -> InputError:
    """Make the error for a record that has no regular lines, so that no index can describe it.

    Parameters
    ----------
    path, name
        File and record.
    line
        1-based line.
    kind
        "blank", "ends" or "length".
    """
    problems = {
        "blank": "a blank line is inside this record",
        "ends": "the lines of this record differ in their line ends (LF, CRLF, CR)",
        "length": "the lines of this record differ in length",
    }
    return InputError(problems[kind], file=path, line=line, record=name, remedy=_LINES_DIFFER)


def changed(path: Path) -> InputError:
    """Make the error for a file that changed after it was opened."""
    return InputError(
        "the file changed while it was open",
        file=path,
        remedy="Wait until it is complete, and start again",
    )


def _first_line(text: bytes) -> str:
    return re.split(r"[\r\n]", text.decode("utf-8", errors="replace"))[0]
