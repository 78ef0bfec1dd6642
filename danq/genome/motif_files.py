"""Read motif files of many formats, and write MEME files."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from numpy.typing import ArrayLike

from danq.errors import InputError, few
from danq.files.open_input import UnreadableFormat
from danq.files.recognise import JSON, WEB_PAGE
from danq.files.text_tables import text_lines
from danq.genome.motif_formats.motif_text import MotifText
from danq.genome.motif_formats.recognise import select_reader
from danq.genome.motif_matrix import LETTERS, UNIFORM, Motif, check_background, scan
from danq.names import check_name, name_problem
from danq.output import replacing

__all__ = ["Motif", "check_background", "read_motifs", "scan", "write_meme"]

MARKUP = (WEB_PAGE, JSON)
"""Formats of files that MEME Suite and web sites write beside the text of motifs."""

log = logging.getLogger("danq")


def read_motifs(path: str | Path) -> list[Motif]:
    """Read the motifs of a file.

    The format is recognised by the content of the file:

    - MEME, versions 3 to 5: minimal, and the text outputs of MEME, DREME and STREME;
    - JASPAR, with or without letters and brackets; counts or frequencies;
    - HOMER; HOCOMOCO (PCM and PFM); Cluster-Buster; ENCODE's list of motifs;
    - TRANSFAC, as TRANSFAC, JASPAR, RSAT and SwissRegulon write it;
    - CIS-BP and UniPROBE.

    U is read as T. A warning counts the motifs about which something was assumed, and the names
    that occur more than once.

    Parameters
    ----------
    path
        Plain, gzip or bgzip.

    Returns
    -------
    list of Motif
        In the order of the file. The name of a JASPAR motif is its identifier, followed by a
        blank and its name if it has one. Each position of a matrix of counts is divided by its
        own sum; the number of sites is the largest sum.

    Raises
    ------
    InputError
        When the file is missing, a folder, empty, a truncated or damaged gzip, not text, of no
        known format or holds no motif; when a name cannot
        be printed or is too long; when its rows could be bases as well as positions; when a
        matrix is not of DNA or RNA, holds log odds, has missing or invalid numbers, or
        frequencies that do not sum to 1.
    """
    text, found = _read(Path(path))
    for motif in found:
        # No file is named after a motif.
        if name_problem(motif.name) != "is a path":
            check_name(motif.name, "motif", file=path)
    text.log_notices(len(found))
    _log_repeated_names(text.path, found)
    return found


def check_motifs(path: str | Path) -> None:
    """Check that :func:`read_motifs` can read a file, without its warnings.

    Raises
    ------
    InputError
        As :func:`read_motifs`.
    """
    _read(Path(path))


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


def _meme_lines(motif: Motif) -> list[str]:
    sites = "" if motif.nsites is None else f" nsites= {motif.nsites}"
    lines = [f"MOTIF {'_'.join(motif.name.split()) or 'motif'}"]
    if motif.comment:
        pairs = (
            f"{'_'.join(key.replace('=', ' ').split())}={'_'.join(str(value).split())}"
            for key, value in motif.comment.items()
        )
        lines.append(f"# {' '.join(pairs)}")
    lines.append(f"letter-probability matrix: alength= 4 w= {motif.width}{sites}")
    lines += [" " + " ".join(f"{value:.6f}" for value in row) for row in motif.probabilities]
    return [*lines, ""]


def _read(path: Path) -> tuple[MotifText, list[Motif]]:
    text = MotifText(path, _lines(path))
    found = select_reader(text)(text)
    if not found:
        raise InputError("holds no motif", file=path, remedy="Check that it is a motif file")
    return text, found


def _lines(path: Path) -> list[str]:
    try:
        return text_lines(path)
    except UnreadableFormat as error:
        if error.format not in MARKUP:
            raise
        remedy = (
            "Give the text output of MEME Suite instead, such as meme.txt, or download the file "
            "again if a web site answered with this page"
        )
        raise InputError(error.problem, file=path, remedy=remedy) from error


def _log_repeated_names(path: Path, motifs: Sequence[Motif]) -> None:
    repeated = [name for name, count in Counter(one.name for one in motifs).items() if count > 1]
    if repeated:
        log.warning(
            "%s: %d names belong to more than one motif (%s); all motifs are used",
            path,
            len(repeated),
            few(repeated),
        )
