"""Match the contigs of two files by name and length, and read maps of contig names."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from danq.errors import InputError, few
from danq.files.text_tables import text_rows

log = logging.getLogger("danq")

MITOCHONDRIAL = frozenset({"m", "mt", "mito"})
"""Names of the mitochondrial genome without ``chr``, in lower case."""

PLINK_CODES = {"23": "x", "24": "y", "25": "x", "26": "m", "xy": "x"}
"""PLINK's numbers of human chromosomes; 25 and XY are the pseudo-autosomal regions of X."""

ROMAN = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii", "xiii", "xiv",
         "xv", "xvi")  # fmt: skip

REMEDY = (
    "Use files of one assembly, or give a map of contig names (chrom_map): two tab-separated "
    "columns, the name in the file and the name in the genome"
)


class Match(NamedTuple):
    """A contig of the genome for a name of another file.

    Attributes
    ----------
    contig
        Name in the genome; None if the genome does not have it.
    same_length
        Whether the contig has the length that the other file states, or that is unknown.
    """

    contig: str | None
    same_length: bool = True


class ContigBridge:
    """Finds the genome's contig for a contig name of another file.

    A name is looked up in ``chrom_map``, then unchanged, then without a ``chr`` prefix, without
    regard to case and with M, MT and Mito as the same name. A name that fits two contigs of the
    genome this way is not matched.

    Parameters
    ----------
    genome
        Contig names of the genome, with their lengths in bases where lengths are compared.
    source
        Origin of the names for messages, usually a path.
    chrom_map
        Names of the other file to names of the genome.
    lengths
        Lengths of contigs in the other file, as far as they are known.
    plink
        Also match PLINK's chromosome codes 23, 24, 25, 26 and XY, if the genome has an X and none
        of these names.
    """

    def __init__(
        self,
        genome: Iterable[str] | Mapping[str, int],
        *,
        source: str,
        chrom_map: Mapping[str, str] | None = None,
        lengths: Mapping[str, int] | None = None,
        plink: bool = False,
    ) -> None:
        self.names = list(dict.fromkeys(genome))
        self.source, self.chrom_map = source, chrom_map or {}
        self.reported = False
        self.name_of: dict[str, str] = {}
        """First name that was reported for a contig of the genome."""
        self._ours = dict(genome) if isinstance(genome, Mapping) else {}
        self._theirs = lengths or {}
        self._known = set(self.names)
        self._by_key: dict[str, list[str]] = {}
        for name in self.names:
            self._by_key.setdefault(_key(name), []).append(name)
        codes = PLINK_CODES.keys() & self._by_key.keys()
        self._plink = plink and "x" in self._by_key and not codes and not self.roman

    @property
    def roman(self) -> bool:
        """Whether the genome numbers its chromosomes in Roman numerals."""
        return {"ii", "iii", "iv"} <= self._by_key.keys()

    def find(self, name: str) -> Match:
        """The genome's contig for a name.

        Raises
        ------
        InputError
            When ``chrom_map`` maps the name to a contig that the genome does not have.
        """
        if name in self.chrom_map:
            contig = self.chrom_map[name]
            if contig not in self._known:
                raise InputError(
                    f"the map of contig names maps '{name}' to '{contig}', "
                    f"which is not in the genome; it has {few(self.names)}",
                    file=self.source,
                    remedy="Correct the second column of the map",
                )
            return Match(contig, self._agrees(name, contig))
        if name in self._known:
            return Match(name, self._agrees(name, name))
        candidates = self._by_key.get(_key(name), [])
        if not candidates and self._plink:
            candidates = self._by_key.get(PLINK_CODES.get(_key(name), ""), [])
        agreeing = [contig for contig in candidates if self._agrees(name, contig)]
        if len(agreeing) == 1 and (len(candidates) == 1 or name in self._theirs):
            return Match(agreeing[0])
        return Match(candidates[0], False) if len(candidates) == 1 else Match(None)

    def is_mapped(self, name: str) -> bool:
        """Whether ``chrom_map`` names the contig."""
        return name in self.chrom_map

    def lengths(self, name: str, contig: str) -> tuple[int, int]:
        """Length of a contig in the other file and in the genome; both must be known."""
        return self._theirs[name], self._ours[contig]

    def hint(self, names: Iterable[str]) -> str:
        """How names without a contig could be matched, as the end of a sentence; often empty."""
        keys = {_key(name) for name in names}
        numbers = {str(number) for number in range(1, len(ROMAN) + 1)}
        if self.roman and keys & numbers:
            return "; the genome numbers its chromosomes in Roman numerals"
        if {"2", "3"} <= self._by_key.keys() and {"ii", "iii"} & keys:
            return "; the file numbers its chromosomes in Roman numerals"
        accession = next((name for name in names if name[:3].upper() in ("NC_", "CM0")), None)
        return "" if accession is None else f"; '{accession}' is an accession number"

    def check_map(self, used: Iterable[str]) -> None:
        """Report entries of ``chrom_map`` that the other file does not use.

        Parameters
        ----------
        used
            Every contig name of the other file.
        """
        found = set(used)
        unused = [name for name in self.chrom_map if name not in found]
        if not unused or not found:
            return
        if len(unused) < len(self.chrom_map):
            log.info(
                "%s: does not have %d of the %d contigs that the map of contig names lists: %s",
                self.source,
                len(unused),
                len(self.chrom_map),
                few(unused),
            )
            return
        values = set(self.chrom_map.values())
        swapped = bool(values & found) and bool(self._known & self.chrom_map.keys())
        log.log(
            logging.WARNING if swapped else logging.INFO,
            "%s: none of the contigs is in the map of contig names (%s)%s",
            self.source,
            few(unused),
            "; the columns of the map seem to be exchanged: the name in the file comes first"
            if swapped
            else "",
        )

    def _agrees(self, name: str, contig: str) -> bool:
        theirs, ours = self._theirs.get(name), self._ours.get(contig)
        return theirs is None or ours is None or theirs == ours


def match_contigs(
    names: Iterable[str],
    genome: Iterable[str] | Mapping[str, int],
    *,
    source: str,
    chrom_map: Mapping[str, str] | None = None,
) -> dict[str, str | None]:
    """Find the genome's name for each contig name of another file.

    Names are matched as `ContigBridge` does. One message lists names that were matched though
    they differ, and one warning lists names that the genome does not have.

    Parameters
    ----------
    names
        Names in the other file; they may repeat.
    genome, source, chrom_map
        As for `ContigBridge`.

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
    bridge = ContigBridge(genome, source=source, chrom_map=chrom_map)
    matched = {name: bridge.find(name).contig for name in theirs}
    missing = [name for name in theirs if matched[name] is None]
    if theirs and len(missing) == len(theirs):
        raise no_contig_matches(bridge, theirs)
    report_renamed(bridge, matched)
    bridge.check_map(theirs)
    if missing:
        # Files that share only chrM most likely name their chromosomes differently.
        most = "; if only their names differ, give a map of contig names (chrom_map)"
        log.warning(
            "%s: %d of %d contigs are not in the genome and are skipped: %s%s%s",
            source,
            len(missing),
            len(theirs),
            few(missing),
            hint := bridge.hint(missing),
            most if hint or 2 * len(missing) > len(theirs) else "",
        )
    return matched


def no_contig_matches(bridge: ContigBridge, names: list[str]) -> InputError:
    """The error for a file that has no contig of the genome."""
    return InputError(
        f"none of its contigs is in the genome: it has {few(names)}, "
        f"the genome has {few(bridge.names)}{bridge.hint(names)}",
        file=bridge.source,
        remedy=REMEDY,
    )


def report_renamed(
    bridge: ContigBridge, matched: Mapping[str, str | None], *, in_parts: bool = False
) -> None:
    """Log names that differ from the genome's, and names that share a contig of the genome.

    Parameters
    ----------
    bridge
        What matched them.
    matched
        Names to the genome's names.
    in_parts
        The names of one file come in several calls.
    """
    renamed, codes, shared = [], [], []
    for name, found in matched.items():
        if found is None:
            continue
        if found != name and not bridge.is_mapped(name):
            (renamed if _key(name) == _key(found) else codes).append(f"{name} as {found}")
        first = bridge.name_of.setdefault(found, name)
        if first != name and not (bridge.is_mapped(first) and bridge.is_mapped(name)):
            shared.append(f"{first} and {name} as {found}")
    if renamed and not bridge.reported:
        bridge.reported = True
        log.info(
            "%s: contig names differ from the genome's; matched %s",
            bridge.source,
            f"{renamed[0]}, and so on" if in_parts else few(renamed),
        )
    if codes:
        log.info("%s: read PLINK's chromosome codes: %s", bridge.source, ", ".join(codes))
    if shared:
        log.warning(
            "%s: several of its contigs are the same contig of the genome; matched %s",
            bridge.source,
            few(shared),
        )


def is_mitochondrial(name: str) -> bool:
    """Whether a contig is the mitochondrial genome, by its name."""
    return _key(name) == "m"


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


def _key(name: str) -> str:
    """Name without prefix and case."""
    lowered = name.lower()
    bare = lowered[3:] if lowered.startswith("chr") and len(lowered) > 3 else lowered
    return "m" if bare in MITOCHONDRIAL else bare
