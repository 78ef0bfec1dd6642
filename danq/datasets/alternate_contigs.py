"""Contigs that repeat the sequence of others, or have no known position in the genome."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from danq.errors import few

log = logging.getLogger("danq")

_SHOWN = 5

_REPEATED = re.compile(
    r"""
    .*_(alt|fix|hap\d*|decoy|patch)           # UCSC, Ensembl
    |(CHR_)?H(G|SCHR)\w+?_\w+|CHR_M\w+_\w+    # Ensembl: haplotypes and patches
    |HLA-.*|hs3\dd\d.*                         # GATK, 1000 Genomes
    """,
    re.IGNORECASE | re.VERBOSE,
)
_UNPLACED = re.compile(
    r"""
    .*_random|(chr)?Un([_.-].*)?              # UCSC
    |.*(unplaced|unlocalized|scaffold).*
    |(.*_)?(contig|super|ctg)_?\d+.*
    |(.*_)?(GL|K[INQVZ]|JH|M[LU]|AABR|JTFH)\d{6,}([.v]\d+)?(_.*)?  # GenBank
    |N[TW]_\d+(\.\d+)?                        # RefSeq
    """,
    re.IGNORECASE | re.VERBOSE,
)


def report_alternate_contigs(contigs: Iterable[str]) -> None:
    """Log the contigs that are alternates of others, and those that are unplaced.

    Alternate loci, patches, haplotypes and decoys repeat sequence of the chromosomes, which can
    put the sequence of one window into two splits. Unplaced and unlocalised sequences often are
    repeats. Names of UCSC, Ensembl, GenBank, RefSeq and the 1000 Genomes Project are recognised.
    Nothing is logged of unplaced contigs when a genome has no other ones.

    Parameters
    ----------
    contigs
        Names of the contigs that are used.
    """
    names = list(contigs)
    repeated = [name for name in names if _REPEATED.fullmatch(name)]
    others = [name for name in names if not _REPEATED.fullmatch(name)]
    unplaced = [name for name in others if _UNPLACED.fullmatch(name)]
    if repeated:
        log.warning(
            "Contigs that repeat sequence of other contigs: %s. The same sequence can therefore be "
            "in two splits. Name the contigs in skip_contigs to leave them out; a pattern such as "
            "*_alt names several.",
            few(repeated, _SHOWN),
        )
    if unplaced and len(unplaced) < len(others):
        log.info(
            "Contigs without a known position in the genome: %s. They often repeat sequence of "
            "other contigs. Name them in skip_contigs to leave them out; a pattern such as "
            "chrUn_* names several.",
            few(unplaced, _SHOWN),
        )


def matching_contigs(entries: str | Sequence[str], contigs: Iterable[str]) -> str | Sequence[str]:
    """Replace patterns of contig names by the names that match.

    Parameters
    ----------
    entries
        Names, or patterns with ``*`` or ``?``; in a text they are separated by commas.
    contigs
        Names of the genome's contigs. An entry that equals one is no pattern, because names such
        as ``HLA-A*01:01:01:01`` contain an asterisk.

    Returns
    -------
    str or sequence of str
        The entries unchanged when none is a pattern. A pattern that matches nothing is kept.
    """
    names = list(contigs)
    known = set(names)
    listed = entries.split(",") if isinstance(entries, str) else list(entries)
    patterns = {
        entry for entry in listed if ("*" in entry or "?" in entry) and entry.strip() not in known
    }
    if not patterns:
        return entries
    expanded: list[str] = []
    for entry in listed:
        if entry in patterns:
            expanded += [name for name in names if fnmatchcase(name, entry.strip())] or [entry]
        else:
            expanded.append(entry)
    return expanded
