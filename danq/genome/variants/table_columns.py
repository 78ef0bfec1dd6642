"""Find the columns of a table of variants by their names."""

from __future__ import annotations

import logging
import re
from typing import NamedTuple

from danq.errors import InputError
from danq.files.text_tables import repeated_column

NAMES = {
    "chrom": ("chrom", "chr", "chromosome", "chr_id", "chr_name", "contig", "hm_chrom"),
    "pos": (
        "pos",
        "bp",
        "position",
        "base_pair_location",
        "genpos",
        "ps",
        "chr_pos",
        "chr_position",
        "start_position",
        "hm_pos",
    ),
    "ref": ("ref", "reference_allele", "ref_allele", "reference"),
    "alt": ("alt", "alternate_allele", "alt_allele", "alternative_allele", "tumor_seq_allele2"),
    "other": (
        "other_allele",
        "otherallele",
        "non_effect_allele",
        "noneffect_allele",
        "a2",
        "a0",
        "allele0",
        "allele2",
        "nea",
        "major_allele",
        "omitted",
        "hm_other_allele",
    ),
    "effect": (
        "effect_allele",
        "effectallele",
        "a1",
        "allele1",
        "ea",
        "tested_allele",
        "coded_allele",
        "minor_allele",
        "hm_effect_allele",
    ),
    "start": ("start", "chromstart", "chrom_start"),
    "end": ("end", "chromend", "chrom_end", "stop"),
    "strand": ("strand",),
    "locus": ("locus", "chrpos"),
    "alleles": ("alleles",),
    "id": (
        "id",
        "variant_id",
        "snp",
        "snpid",
        "snp_id",
        "rsid",
        "rs_id",
        "rsids",
        "dbsnp_rs",
        "variant",
        "markername",
        "marker_name",
        "marker",
        "markerid",
        "marker_id",
        "hm_rsid",
    ),
}
"""Names of columns by their meaning, in lower case and with ``_`` for spaces, dots and hyphens.

``other``
and ``effect`` are alleles of which either may be the reference. Of several names of an ``id``, the
first is used.
"""

log = logging.getLogger("danq")

BUILD = re.compile(
    r"(?P<a>pos|bp|position|base_pair_location|chr|chrom|chromosome)_(hg|grch|b|build)_?\d\d"
    r"|(hg|grch|b|build)_?\d\d_(?P<b>pos|bp|position|chr|chrom|chromosome)"
)
"""Names of columns that name an assembly, such as ``pos_hg19``."""

BOLT_LMM = ["bp", "genpos"]
"""Columns of BOLT-LMM: the position, and the genetic position in Morgan."""

ZERO_BASED = ("chromstart", "chrom_start")
SECOND_IS_EFFECT = ("af_allele2", "ac_allele2")
"""Columns of SAIGE, in which allele 2 is the effect allele."""

REMEDY = (
    "Give a table with the columns chrom, pos (1-based), ref, alt and optionally id (or names that "
    "GWAS tables use, such as CHR, BP, A1 and A2)"
)

FIRST = ("chrom", "pos", "ref", "alt")
"""Names that have precedence over others of the same meaning."""

PLACES = ("chrom", "pos", "locus", "start", "id")
"""Meanings of which a line of column names has at least one."""

VEP = "uploaded_variation"


INDICES = 11
"""Number of indices in `TableColumns`."""


class TableColumns(NamedTuple):
    """Indices of the columns of a table; -1 for those that it does not have.

    Attributes
    ----------
    chrom, pos, ref, alt, id
        Contig, 1-based position, alleles and name.
    start, end
        Interval of the reference allele, used in place of ``pos``.
    strand
        Strand of the alleles.
    locus, alleles
        ``chr1:123``, and ``["A","G"]`` with the reference allele first.
    variant
        Names such as ``chr1_123_A_G`` that give the position or the alleles.
    zero_based
        Whether ``start`` is 0-based; None where the lengths of the intervals show it.
    oriented
        Whether ``ref`` is the reference allele. Otherwise the genome decides which allele it is.
    """

    chrom: int = -1
    pos: int = -1
    ref: int = -1
    alt: int = -1
    id: int = -1
    start: int = -1
    end: int = -1
    strand: int = -1
    locus: int = -1
    alleles: int = -1
    variant: int = -1
    zero_based: bool | None = False
    oriented: bool = True

    @property
    def used(self) -> list[int]:
        """Indices of all columns that are read, in ascending order."""
        return sorted({one for one in self[:INDICES] if one >= 0})

    def moved(self, places: dict[int, int]) -> TableColumns:
        """The same meanings with the index of each column in a part of the table."""
        indices = [places.get(one, -1) for one in self[:INDICES]]
        return TableColumns._make([*indices, self.zero_based, self.oriented])

    def describe(self, names: list[str]) -> str:
        """Which column is read as what."""
        parts = []
        for what in ("chrom", "pos", "start", "end", "locus"):
            if (index := getattr(self, what)) >= 0:
                parts.append(f"{what} from {names[index]!r}")
        if self.ref >= 0:
            parts.append(f"ref from {names[self.ref]!r}, alt from {names[self.alt]!r}")
        if self.alleles >= 0:
            parts.append(f"ref and alt from {names[self.alleles]!r}")
        if self.variant >= 0:
            missing = ("" if self.chrom >= 0 or self.locus >= 0 else "chrom, pos, ") + (
                "" if self.ref >= 0 or self.alleles >= 0 else "ref, alt"
            )
            parts.append(f"{missing.removesuffix(', ')} from {names[self.variant]!r}")
        if self.id >= 0:
            parts.append(f"id from {names[self.id]!r}")
        text = "; ".join(parts)
        if not self.oriented:
            text += "; the genome shows which of the two alleles is REF"
        return text


def plain_name(name: str) -> str:
    """A column's name as in `NAMES`."""
    bare = name.strip().strip("\"'").lstrip("#").strip().lower()
    return re.sub(r"[ .-]", "_", bare)


def is_header(names: list[str]) -> bool:
    """Whether some of these texts are names of a variant table's columns."""
    plain = set(map(plain_name, names))
    known = {one for what in PLACES for one in NAMES[what]}
    return bool(plain & known) or any(map(BUILD.fullmatch, plain))


def find_columns(names: list[str], *, file: str, line: int | None, lacks: str) -> TableColumns:
    """Find the columns of a table.

    Parameters
    ----------
    names
        Names of its columns.
    file, line
        Place of the names, for errors.
    lacks
        Beginning of the message about missing columns.

    Raises
    ------
    InputError
        When columns are missing, or two have the same meaning.
    """
    plain = list(map(plain_name, names))
    if VEP in plain:
        raise InputError(
            "is a table of results of VEP, not of variants",
            file=file,
            line=line,
            remedy="Give the VCF or the table that VEP read",
        )
    search = _Search(names, plain, file, line)
    columns = _position(search, _alleles(search))
    missing = []
    if columns.variant < 0:
        place = columns.locus >= 0
        missing += ["chrom"] * (columns.chrom < 0 and not place)
        missing += ["pos"] * (columns.pos < 0 and columns.start < 0 and not place)
        if columns.alleles < 0:
            missing += ["ref"] * (columns.ref < 0) + ["alt"] * (columns.alt < 0)
    if missing:
        raise InputError(f"{lacks} {', '.join(missing)}", file=file, line=line, remedy=REMEDY)
    if columns.start >= 0 and columns.end < 0 and columns.zero_based is None:
        raise InputError(
            f"has a column {names[columns.start]!r} and no column 'end', so it does not show "
            "whether positions are 0-based",
            file=file,
            line=line,
            remedy="Give 1-based positions in a column 'pos'",
        )
    return columns


class _Search:
    """Finds one column by its meaning."""

    def __init__(self, names: list[str], plain: list[str], file: str, line: int | None) -> None:
        self.names, self.plain, self.file, self.line = names, plain, file, line

    def one(self, *meanings: str) -> int:
        """Index of the column with the first of these meanings that a column has, or -1."""
        for what in meanings:
            named = [i for i, name in enumerate(self.plain) if self._means(name, what)]
            found = [i for i in named if self.plain[i] == what and what in FIRST] or named
            if sorted(self.plain[i] for i in found) == BOLT_LMM:
                found = [i for i in found if self.plain[i] == BOLT_LMM[0]]
            if len(found) > 1 and what == "id":
                found.sort(key=lambda i: NAMES["id"].index(self.plain[i]))
            elif len(found) > 1:
                raise self._several(what, found)
            if found:
                others = [repr(self.names[i]) for i in named if i not in found]
                if others:
                    log.info("%s: %s is not read from %s", self.file, what, " or ".join(others))
                return found[0]
        return -1

    def _means(self, name: str, what: str) -> bool:
        if name in NAMES[what]:
            return True
        match = BUILD.fullmatch(name) if what in ("chrom", "pos") else None
        return match is not None and (match["a"] or match["b"]) in NAMES[what]

    def _several(self, what: str, found: list[int]) -> InputError:
        shown = " and ".join(repr(self.names[i]) for i in found)
        if len({self.plain[i] for i in found}) == 1:
            return repeated_column(self.names[found[0]], self.file, self.line)
        return InputError(
            f"the columns {shown} both could be {what}",
            file=self.file,
            line=self.line,
            remedy=f"Rename the one of this genome's assembly to '{NAMES[what][0]}'"
            if what in ("chrom", "pos")
            else f"Rename the right one to '{NAMES[what][0]}'",
        )


def _alleles(search: _Search) -> TableColumns:
    """Columns of the alleles and of names."""
    name = search.one("id")
    if "ref" in search.plain and "alt" in search.plain:
        return TableColumns(ref=search.one("ref"), alt=search.one("alt"), id=name)
    given = {what: search.one(what) for what in ("ref", "alt")}
    if min(given.values()) >= 0:
        return TableColumns(ref=given["ref"], alt=given["alt"], id=name)
    effect, other = search.one("effect"), search.one("other")
    if set(search.plain) & set(SECOND_IS_EFFECT):
        effect, other = other, effect
    # In some tables of GWAS the 'reference allele' is the effect allele.
    others = other, given["ref"], given["alt"]
    if effect >= 0 and max(others) >= 0:
        other = next(one for one in others if one >= 0)
    elif other >= 0 and max(given.values()) >= 0:
        effect = max(given.values())
    else:
        alleles = search.one("alleles")
        variant = name if alleles < 0 and max(given.values()) < 0 else -1
        return TableColumns(
            ref=given["ref"], alt=given["alt"], id=name, alleles=alleles, variant=variant
        )
    return TableColumns(ref=other, alt=effect, id=name, oriented=False)


def _position(search: _Search, columns: TableColumns) -> TableColumns:
    """Add the columns of the position."""
    columns = columns._replace(chrom=search.one("chrom"), strand=search.one("strand"))
    if (pos := search.one("pos")) >= 0 and columns.chrom >= 0:
        return columns._replace(pos=pos)
    if (start := search.one("start")) >= 0 and columns.chrom >= 0:
        zero_based = True if search.plain[start] in ZERO_BASED else None
        return columns._replace(start=start, end=search.one("end"), zero_based=zero_based)
    if (locus := search.one("locus")) >= 0:
        return columns._replace(chrom=-1, locus=locus)
    alleles = columns.alleles >= 0 or columns.variant >= 0 or min(columns.ref, columns.alt) >= 0
    if alleles and columns.id >= 0:
        return columns._replace(chrom=-1, pos=pos, variant=columns.id)
    return columns._replace(pos=pos)
