"""Variants as a user types them: ``chr:pos REF>ALT``, HGVS, dashes, IDs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from danq.errors import InputError
from danq.genome.contig_names import ContigBridge
from danq.genome.nucleotide_codes import decode
from danq.genome.packed_genome import PackedGenome
from danq.genome.regions import NUMBER, UnknownContig

FORMS = "Write chr1:12345 A>G, chr1-12345-A-G or chr1:g.12345A>G, with 1-based positions"

_BASES = "[A-Za-z*.]+"
_PLAIN = (
    re.compile(rf"(?P<chrom>\S+):(?P<pos>{NUMBER})[\s:]*(?P<ref>{_BASES})\s*>\s*(?P<alt>{_BASES})"),
    re.compile(rf"(?P<chrom>\S+):(?P<pos>{NUMBER})[:\s]+(?P<ref>{_BASES})[:/\s]+(?P<alt>{_BASES})"),
    re.compile(rf"(?P<chrom>\S+)-(?P<pos>{NUMBER})-(?P<ref>{_BASES})-(?P<alt>{_BASES})"),
    re.compile(rf"(?P<chrom>\S+)\s+(?P<pos>{NUMBER})\s+(?P<ref>{_BASES})\s+(?P<alt>{_BASES})"),
)
_HGVS = re.compile(r"(?P<chrom>\S+):g\.(?P<change>\S.*)", re.IGNORECASE)
_CHANGE = re.compile(
    r"(?P<start>[0-9]+)(?:_(?P<end>[0-9]+))?"
    r"(?:(?P<ref>[A-Za-z]+)>(?P<alt>[A-Za-z]+)|(?P<kind>delins|del|dup|inv|ins)(?P<bases>[A-Za-z]*?)"
    r"(?:ins(?P<inserted>[A-Za-z]+))?)"
)
_ID = re.compile(r"[A-Za-z][A-Za-z0-9_.]*[0-9]")
_COMPLEMENT = str.maketrans("ACGTacgt", "TGCAtgca")

Ids = Mapping[str, list["TypedVariant"]]
"""Variants by their ID."""


class TypedVariant(NamedTuple):
    """A variant as in a VCF; ``pos`` is 1-based."""

    chrom: str
    pos: int
    ref: str
    alt: str
    id: str = "."


def looks_like_variant(text: str) -> bool:
    """Whether a line has the form of a variant, apart from an ID."""
    return _HGVS.fullmatch(text) is not None or any(form.fullmatch(text) for form in _PLAIN)


def looks_like_id(text: str) -> bool:
    """Whether a line may be the ID of a variant, such as rs123."""
    return _ID.fullmatch(text) is not None


def read_variant(
    text: str, genome: PackedGenome, bridge: ContigBridge, ids: Ids | None
) -> list[TypedVariant]:
    """Variants of one line. An ID may have several.

    Parameters
    ----------
    text
        The line, without blanks at its ends.
    genome
        Gives the bases that HGVS leaves out.
    bridge
        Finds its contigs.
    ids
        Variants by ID; None if no file with IDs was given.

    Raises
    ------
    InputError
        When the line has none of the forms, an ID is unknown, or an HGVS change is outside its
        contig or not supported.
    """
    for form in _PLAIN:
        if found := form.fullmatch(text):
            pos = int(found["pos"].replace(",", ""))
            return [TypedVariant(found["chrom"], pos, found["ref"], found["alt"])]
    if found := _HGVS.fullmatch(text):
        return [_read_hgvs(text, found["chrom"], found["change"], genome, bridge)]
    if not looks_like_id(text):
        raise InputError(f"'{text}' is not a variant", remedy=FORMS)
    if ids is None:
        raise InputError(
            f"'{text}' seems to be the ID of a variant, and the server has no file with IDs",
            remedy=f"{FORMS}; or start the server with a VCF that has IDs",
        )
    if text not in ids:
        raise InputError(f"the file with IDs has no variant '{text}'", remedy=FORMS)
    return list(ids[text])


def _read_hgvs(
    text: str, chrom: str, change: str, genome: PackedGenome, bridge: ContigBridge
) -> TypedVariant:
    found = _CHANGE.fullmatch(change)
    if found is None:
        raise InputError(
            f"the change 'g.{change}' of '{text}' is not read",
            remedy="Write a substitution, del, dup, ins, delins or inv, such as chr1:g.123A>G",
        )
    start = int(found["start"])
    if found["ref"]:
        if found["end"]:
            raise InputError(
                f"'{text}' has a substitution with two positions", remedy="Write the first alone"
            )
        return TypedVariant(chrom, start, found["ref"], found["alt"], text)
    contig = bridge.find(chrom).contig
    if contig is None:
        raise UnknownContig(chrom, bridge, None)
    length, end = genome.contigs[contig], int(found["end"] or start)
    if not 1 <= start <= end <= length:
        raise InputError(
            f"'{text}' is not inside {contig}, which has {length:,} bases",
            remedy="Positions are 1-based, the smaller one first",
        )
    if end - start > 10_000:
        raise InputError(f"'{text}' has {end - start + 1:,} bases; at most 10,000 are read")

    def bases(low: int, high: int) -> str:
        """Bases of a 1-based closed interval."""
        return decode(genome.codes(contig, low - 1, high))

    kind, given, inserted = found["kind"], found["bases"], found["inserted"]
    if kind == "ins":
        if end != start + 1 or not given or inserted:
            raise InputError(
                f"'{text}' is not an insertion between two bases",
                remedy="Write two adjacent positions and the bases: chr1:g.123_124insA",
            )
        return TypedVariant(chrom, start, bases(start, start), bases(start, start) + given, text)
    if kind == "delins":
        given, inserted = "", given
    if (inserted is not None and kind not in ("del", "delins")) or inserted == "":
        raise InputError(f"'{text}' has no bases to insert", remedy=FORMS)
    if given and len(given) != end - start + 1:
        raise InputError(
            f"'{text}' names {len(given)} bases at {end - start + 1} positions",
            remedy="Leave the bases out, or correct the positions",
        )
    old = given or bases(start, end)
    new = inserted or ""
    if kind == "dup":
        new = old + old
    elif kind == "inv":
        new = old[::-1].translate(_COMPLEMENT)
    if new:
        return TypedVariant(chrom, start, old, new, text)
    return _anchored(TypedVariant(chrom, start, old, new, text), length, bases)


def _anchored(one: TypedVariant, length: int, bases: Callable[[int, int], str]) -> TypedVariant:
    """A deletion with the base before it, or at the start of a contig, the base after it."""
    if one.pos > 1:
        base = bases(one.pos - 1, one.pos - 1)
        return one._replace(pos=one.pos - 1, ref=base + one.ref, alt=base)
    after = one.pos + len(one.ref)
    base = bases(after, after) if after <= length else ""
    return one._replace(ref=one.ref + base, alt=base or ".")
