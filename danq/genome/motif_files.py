"""Read motif files (MEME, JASPAR) and write MEME files."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from Bio import motifs as bio
from numpy.typing import ArrayLike

from danq.errors import InputError
from danq.files.open_input import open_bytes
from danq.genome.motif_matrix import LETTERS, UNIFORM, Motif, check_background, scan
from danq.output import replacing

__all__ = ["Motif", "check_background", "read_motifs", "scan", "write_meme"]

# Biopython rounds the frequencies of a MEME file to counts out of ``nsites``, which loses them when
# nsites= 1. It gets this number of sites instead, and the true number is restored afterwards.
FINE = 10**9


def read_motifs(path: str | Path) -> list[Motif]:
    """Read the motifs of a file.

    Parameters
    ----------
    path
        MEME (version 4 or 5, minimal or the text output) or JASPAR; plain, gzip or bgzip.

    Returns
    -------
    list of Motif
        In the order of the file. The name of a JASPAR motif is its identifier, followed by a
        blank and its name if it has one.

    Raises
    ------
    InputError
        When the file is missing, a folder, empty, a truncated or damaged gzip, not text, of
        neither format or holds no motif; when a matrix is not of DNA, has missing or invalid
        numbers, or its rows do not sum to 1.
    """
    path = Path(path)
    with open_bytes(path) as handle:
        data = handle.read()
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise _unknown(path) from error
    first = next((line.lstrip() for line in lines if line.strip()), "")
    if any(line.startswith("MEME version") for line in lines):
        found = list(_meme(lines, path))
    elif first.startswith(">"):
        found = list(_jaspar(lines, path))
    else:
        raise _unknown(path)
    if not found:
        raise InputError("holds no motif", file=path, remedy="Check that it is a motif file")
    return found


def write_meme(
    path: str | Path,
    motifs: Sequence[Motif],
    background: ArrayLike | None = None,
    *,
    overwrite: bool = False,
) -> None:
    """Write motifs in MEME's minimal format, version 4, under a temporary name first.

    Parameters
    ----------
    path
        File to write.
    motifs
        At least one motif. A comment becomes a line ``# key=value ...`` below the motif's name.
    background
        Frequencies of A, C, G, T; None means 0.25 each.
    overwrite
        Whether to replace an existing file.

    Raises
    ------
    InputError
        When there is no motif, the file exists already, it cannot be written, or the
        background is not four frequencies.
    """
    if not motifs:
        raise InputError("there is no motif to write", file=path)
    base = check_background(UNIFORM if background is None else background)
    parts = ["MEME version 4", "", "ALPHABET= ACGT", "", "strands: + -", ""]
    parts += ["Background letter frequencies"]
    parts += [" ".join(f"{letter} {p:.6f}" for letter, p in zip(LETTERS, base, strict=True)), ""]
    for motif in motifs:
        parts += _meme_lines(motif)
    with replacing(path, overwrite) as temporary:
        temporary.write_text("\n".join(parts), encoding="utf-8")


def _meme(lines: Sequence[str], path: Path) -> Iterator[Motif]:
    """Parse with Biopython, and restore the numbers of sites and the comments that it drops."""
    text: list[str] = []
    sites: list[int | None] = []
    comments: list[dict[str, str]] = []
    starts: list[int] = []
    head = "\n".join(
        lines[: next((i for i, s in enumerate(lines) if s[:5] == "MOTIF"), len(lines))]
    )
    for number, line in enumerate(lines, start=1):
        if line.startswith("MOTIF"):
            if not starts:
                text += _missing_head(head)
            starts.append(number)
            sites.append(None)
            comments.append({})
        elif starts and line.startswith("# "):
            comments[-1] |= dict(pair.split("=", 1) for pair in line.split() if "=" in pair)
        elif starts and line.startswith("letter-probability matrix:"):
            known = re.search(r"nsites=\s*([0-9.e+]+)", line)
            sites[-1] = round(float(known[1])) if known else None
            width = _rows(lines, number, path)
            line = f"letter-probability matrix: alength= 4 w= {width} nsites= {FINE}"
        text.append(line)
    try:
        record = bio.parse(io.StringIO("\n".join(text) + "\n"), "minimal")
    except (ValueError, IndexError, UnboundLocalError) as error:
        raise _unreadable(path, error) from error
    if len(record) != len(starts):
        raise InputError(f"has {len(starts)} motif names but {len(record)} matrices", file=path)
    for motif, line, nsites, comment in zip(record, starts, sites, comments, strict=True):
        yield _motif(motif, motif.name, path, line, nsites, comment or None)


def _rows(lines: Sequence[str], header: int, path: Path) -> int:
    """Check and count the rows of the matrix after line ``header`` (1-based)."""
    stated = re.search(r"\bw=\s*([0-9]+)", lines[header - 1])
    count = 0
    for number in range(header, len(lines)):
        fields = lines[number].split()
        if not fields or not re.fullmatch(r"[-+0-9.eE]+", fields[0]):
            break
        if len(fields) != 4:
            raise InputError(
                f"a row of the matrix has {len(fields)} numbers, not 4 (A, C, G, T)",
                file=path,
                line=number + 1,
                remedy="Only motifs of DNA can be read",
            )
        count += 1
    if stated and int(stated[1]) != count:
        raise InputError(
            f"the matrix has {count} rows, but its header has w= {stated[1]}",
            file=path,
            line=header,
            remedy="The file may be truncated; download it again",
        )
    return count


def _missing_head(head: str) -> list[str]:
    """Header lines that are optional in MEME but required by Biopython."""
    extra = []
    if "Background letter frequencies" not in head:
        if "ALPHABET" not in head:
            extra.append("ALPHABET= ACGT")
        extra += ["Background letter frequencies", "A 0.25 C 0.25 G 0.25 T 0.25", ""]
    return extra


def _jaspar(lines: Sequence[str], path: Path) -> Iterator[Motif]:
    starts = [number for number, line in enumerate(lines) if line.lstrip().startswith(">")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        rows = [line for line in lines[start + 1 : end] if line.strip()]
        widths = {len(re.sub(r"^\s*[ACGT]\s*\[|\]", " ", row).split()) for row in rows}
        if len(rows) != 4 or len(widths) != 1:
            problem = f"{len(rows)} rows" if len(rows) != 4 else "rows of unequal length"
            raise InputError(
                f"the motif has {problem}, not 4 rows of equal length (A, C, G, T)",
                file=path,
                line=start + 1,
                remedy="Give counts in JASPAR format, one row per base, or a MEME file",
            )
    try:
        record = bio.parse(io.StringIO("\n".join(lines) + "\n"), "jaspar")
    except (ValueError, IndexError, KeyError) as error:
        raise _unreadable(path, error) from error
    for motif, start in zip(record, starts, strict=True):
        name, identifier = motif.name, motif.matrix_id
        full = identifier if name in (None, identifier) else f"{identifier} {name}"
        totals = np.array([motif.counts[base] for base in LETTERS]).sum(axis=0)
        nsites = round(float(totals.max())) if totals.size and totals.max() > 1.5 else None
        yield _motif(motif, full, path, start + 1, nsites, None)


def _motif(
    motif: Any,
    name: str,
    path: Path,
    line: int,
    nsites: int | None,
    comment: dict[str, str] | None,
) -> Motif:
    counts = np.array([motif.counts[base] for base in LETTERS], dtype=np.float64).T
    totals = counts.sum(axis=1, keepdims=True)
    scale = FINE if totals.size and totals.max() > FINE / 2 else totals
    try:
        with np.errstate(invalid="ignore", divide="ignore"):
            return Motif(name, counts / scale, nsites, comment)
    except InputError as error:
        raise InputError(
            error.problem, file=path, line=line, record=name, remedy=error.remedy
        ) from error


def _meme_lines(motif: Motif) -> list[str]:
    sites = "" if motif.nsites is None else f" nsites= {motif.nsites}"
    lines = [f"MOTIF {'_'.join(motif.name.split()) or 'motif'}"]
    if motif.comment:
        pairs = (f"{key}={'_'.join(str(value).split())}" for key, value in motif.comment.items())
        lines.append(f"# {' '.join(pairs)}")
    lines.append(f"letter-probability matrix: alength= 4 w= {motif.width}{sites}")
    lines += [" " + " ".join(f"{value:.6f}" for value in row) for row in motif.probabilities]
    return [*lines, ""]


def _unknown(path: Path) -> InputError:
    return InputError(
        "is neither a MEME nor a JASPAR file",
        file=path,
        remedy="A MEME file has a line 'MEME version', a JASPAR file starts with '>'",
    )


def _unreadable(path: Path, error: Exception) -> InputError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return InputError(f"cannot be read as motifs ({reason})", file=path)
