"""Match the contig names of two files (``chr1`` and ``1``), and read maps of contig names."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from danq.errors import InputError
from danq.files.text_tables import text_rows

log = logging.getLogger("danq")

MITOCHONDRIAL = frozenset({"M", "MT", "MITO"})


def match_contigs(
    names: Iterable[str],
    genome: Iterable[str],
    *,
    source: str,
    chrom_map: Mapping[str, str] | None = None,
) -> dict[str, str | None]:
    """Find the genome's name for each contig name of another file.

    A name is looked up in ``chrom_map``, then unchanged, then without a ``chr`` prefix and
    with M, MT and Mito as the same name. A name that fits two contigs of the genome this way
    is not matched. One message lists names that were matched this way, and one warning lists
    names that the genome does not have.

    Parameters
    ----------
    names
        Names in the other file; they may repeat.
    genome
        The genome's names.
    source
        Origin of the names for messages, usually a path.
    chrom_map
        Names of the other file to names of the genome.

    Returns
    -------
    dict
        Each name to the genome's name, or to None where the genome does not have it.

    Raises
    ------
    InputError
        When the genome has none of the names, or when ``chrom_map`` maps one of them to a
        contig that the genome does not have.
    """
    theirs = list(dict.fromkeys(names))
    ours = list(dict.fromkeys(genome))
    matched = find_contigs(theirs, ours, source=source, chrom_map=chrom_map)
    mapped = chrom_map or {}
    renamed = [
        f"{name} as {found}"
        for name, found in matched.items()
        if found not in (None, name) and name not in mapped
    ]
    missing = [name for name in theirs if matched[name] is None]
    if theirs and len(missing) == len(theirs):
        raise InputError(
            f"none of its contigs is in the genome: it has {_few(theirs)}, "
            f"the genome has {_few(ours)}",
            file=source,
            remedy="Use files of one assembly, or give a map of contig names (chrom_map): two "
            "tab-separated columns, the name in the file and the name in the genome",
        )
    if renamed:
        log.info("%s: contig names differ from the genome's; matched %s", source, _few(renamed))
    if missing:
        log.warning(
            "%s: %d of %d contigs are not in the genome and are skipped: %s%s",
            source,
            len(missing),
            len(theirs),
            _few(missing),
            # Files that share only chrM most likely name their chromosomes differently.
            "; if only their names differ, give a map of contig names (chrom_map)"
            if 2 * len(missing) > len(theirs)
            else "",
        )
    return matched


def find_contigs(
    names: Iterable[str],
    genome: Iterable[str],
    *,
    source: str,
    chrom_map: Mapping[str, str] | None = None,
) -> dict[str, str | None]:
    """Match names as :func:`match_contigs` does, without messages; none need match.

    Raises
    ------
    InputError
        When ``chrom_map`` maps one of the names to a contig that the genome does not have.
    """
    ours = list(dict.fromkeys(genome))
    known = set(ours)
    counts = Counter(map(_bare, ours))
    aliases = {_bare(name): name for name in ours if counts[_bare(name)] == 1}
    matched: dict[str, str | None] = {}
    for name in names:
        if chrom_map is not None and name in chrom_map:
            if chrom_map[name] not in known:
                raise InputError(
                    f"the map of contig names maps '{name}' to '{chrom_map[name]}', "
                    f"which is not in the genome; it has {_few(ours)}",
                    file=source,
                    remedy="Correct the second column of the map",
                )
            matched[name] = chrom_map[name]
        else:
            matched[name] = name if name in known else aliases.get(_bare(name))
    return matched


def read_chrom_map(path: str | Path) -> dict[str, str]:
    """Read a map of contig names.

    Parameters
    ----------
    path
        Two tab-separated columns, a name and the genome's name for it; blank lines and
        lines that start with ``#`` are skipped. Plain or gzip.

    Returns
    -------
    dict
        First column to second.

    Raises
    ------
    InputError
        When the file is missing, empty or holds no pair of names; at a line without exactly
        two names, and at a repeated name.
    """
    path = Path(path)
    names: dict[str, str] = {}
    for number, fields, line in text_rows(path):
        if len(fields) != 2 or not all(fields):
            raise InputError(
                f"the line does not have exactly two tab-separated names ({line[:40]!r})",
                file=path,
                line=number,
                remedy="Write a name, a tab and the genome's name",
            )
        if fields[0] in names:
            raise InputError(
                f"the name '{fields[0]}' repeats; it was mapped to '{names[fields[0]]}' before",
                file=path,
                line=number,
                remedy="Keep one of the two lines",
            )
        names[fields[0]] = fields[1]
    if not names:
        raise InputError("holds no pair of names", file=path, remedy="Write one pair per line")
    return names


def _bare(name: str) -> str:
    bare = name[3:] if name[:3].lower() == "chr" and len(name) > 3 else name
    return "M" if bare.upper() in MITOCHONDRIAL else bare


def _few(names: list[str], shown: int = 3) -> str:
    rest = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + rest
