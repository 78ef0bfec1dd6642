"""Motifs that a user names or writes as a sequence."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from danq.errors import InputError, few
from danq.genome.motif_files import read_motifs
from danq.genome.motif_matrix import IUPAC, LETTERS, Motif
from danq.track_names import similar_names
from danq.typing import Location

TIE = 1e-6
"""Frequencies that differ by less are equal."""

_SEPARATORS = re.compile(r"[\s.:|]+")

_BASES_OF = {letter: bases for bases, letter in IUPAC.items()} | {"N": LETTERS}

log = logging.getLogger("danq")


def choose_motifs(texts: Sequence[str], files: Sequence[Location] = ()) -> list[Motif]:
    """The motifs that a user asked for, as names in motif files or as sequences.

    Parameters
    ----------
    texts
        See `choose_motif`.
    files
        Motif files, in any format of `danq.read_motifs`.

    Raises
    ------
    InputError
        As `danq.read_motifs` and `choose_motif`; when a file or a motif is given twice, or
        ``texts`` is a string.
    """
    if isinstance(texts, str):
        raise InputError(
            f"the motifs are the string '{texts}', not a list",
            remedy=f"Write ['{texts}'] for a single motif",
        )
    known: list[Motif] = []
    seen: set[Path] = set()
    for path in map(Path, files):
        if path.resolve() in seen:
            raise InputError("is given twice", file=path, remedy="Give each motif file once")
        seen.add(path.resolve())
        known += read_motifs(path)
    found = [choose_motif(text, known) for text in texts]
    for number, motif in enumerate(found):
        if any(_is_same(motif, other) for other in found[:number]):
            raise InputError(f"motif '{motif.name}' is given twice", remedy="Name each motif once")
    return found


def choose_motif(text: str, known: Sequence[Motif] = ()) -> Motif:
    """The known motif of a name, or the motif of a sequence.

    A name is first compared as it is, then without its case, then with the words of the names, and
    with their parts between blanks, dots, colons and bars: ``ABF1`` is also the motif ``MA0265.1
    ABF1`` of a JASPAR file, and ``CREB1`` the motif ``CREB1.H12CORE.0.PSM.A``. Other text is a
    sequence, which danq reports as a notice where there are known motifs.

    Parameters
    ----------
    text
        Name of a known motif, or a sequence of A, C, G, T (U) and the IUPAC codes R Y S W K M B D H
        V N, in upper or lower case. An IUPAC code gives its bases equal frequencies.
    known
        Known motifs.

    Raises
    ------
    InputError
        When the text is empty; names several motifs; is neither a name (the message has the nearest
        ones) nor a sequence; or the motif allows every base at each position.
    """
    name = str(text).strip()
    if not name:
        raise InputError("a motif is empty", remedy="Give the name of a motif, or a sequence")
    found = _named(name, known)
    if len(found) > 1:
        names = few([f"'{one.name}'" for one in found], 5)
        raise InputError(
            f"'{name}' names {len(found):,} motifs: {names}",
            remedy="Give the full name of one; rename motifs that have the same name",
        )
    motif = found[0] if found else _of_sequence(name, known)
    if not (motif.probabilities.max(axis=1) - motif.probabilities.min(axis=1) > TIE).any():
        raise InputError(
            f"the motif '{motif.name}' prefers no base at any position",
            remedy="Give a motif with at least one letter other than N",
        )
    return motif


def best_bases(motif: Motif) -> Bool[np.ndarray, "W 4"]:
    """The most frequent bases of each position: one, or several that are equally frequent."""
    p = motif.probabilities
    return p >= p.max(axis=1, keepdims=True) - TIE


def consensus_bases(motif: Motif) -> Bool[np.ndarray, "W 4"]:
    """The bases that `Motif.consensus` allows at each position."""
    allowed = [[base in _BASES_OF[letter] for base in LETTERS] for letter in motif.consensus]
    return np.array(allowed)


def _named(name: str, known: Sequence[Motif]) -> list[Motif]:
    exact = [one for one in known if one.name == name]
    key = name.casefold()
    folded = [one for one in known if one.name.casefold() == key]
    words = [one for one in known if key in one.name.casefold().split()]
    parts = [one for one in known if key in _SEPARATORS.split(one.name.casefold())]
    return exact or folded or words or parts


def _of_sequence(text: str, known: Sequence[Motif]) -> Motif:
    letters = text.upper().replace("U", "T")
    wrong = [number for number, letter in enumerate(letters) if letter not in _BASES_OF]
    if not wrong:
        if known:
            log.info("'%s' is the name of no motif and is used as a sequence", text)
        table = np.array([[base in _BASES_OF[letter] for base in LETTERS] for letter in letters])
        return Motif(text, table / table.sum(axis=1, keepdims=True))
    problem = f"'{text}' is neither a name of a motif nor a sequence"
    if not known:
        raise InputError(
            f"{problem}: '{text[wrong[0]]}' at position {wrong[0] + 1} is no IUPAC letter",
            remedy="Give a motif file that has this name, or a sequence of A C G T and "
            "R Y S W K M B D H V N",
        )
    names = [one.name for one in known]
    similar = [f"'{one}'" for one in similar_names(text, list(dict.fromkeys(names)))]
    listed = f"The {len(names):,} motifs are {few(names, 8)}"
    remedy = f"Did you mean {' or '.join(similar)}? {listed}" if similar else listed
    raise InputError(problem, remedy=remedy)


def _is_same(one: Motif, other: Motif) -> bool:
    return one.name == other.name and np.array_equal(one.probabilities, other.probabilities)
