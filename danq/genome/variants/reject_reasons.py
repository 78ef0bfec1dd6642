"""Say why a variant-allele gets no row."""

from __future__ import annotations

from danq.genome.alphabet import decode
from danq.genome.packed import PackedGenome
from danq.genome.variants.normalise import BEYOND, MISMATCH, NOT_ACGT, SAME, UNKNOWN

SHOWN = 20
"""Bases of a long allele that a message shows."""


def explain(
    genome: PackedGenome, found: int, contig: int, chrom: str, pos: int, ref: str, alt: str
) -> tuple[str, str]:
    """Reason and detail of a reject.

    Parameters
    ----------
    genome
        The reference.
    found
        What :func:`danq.genome.variants.normalise.normalise` found.
    contig
        Number of the contig, -1 for unknown.
    chrom, pos, ref, alt
        As in the input, ``pos`` 1-based.
    """
    if found in (NOT_ACGT, SAME):
        if ref in (".", ""):
            what = repr(ref) if ref else "empty"
            return "missing-ref", f"REF is {what} in the record at {chrom}:{pos}"
        return _textual(ref, alt)
    if found == UNKNOWN:
        return "unknown-contig", f"the genome has no '{chrom}'"
    last = pos + len(ref) - 1
    if found == BEYOND:
        length = int(genome.lengths[contig])
        return "beyond-contig", f"REF covers {pos} to {last}, {chrom} has {length} bases"
    assert found == MISMATCH
    there = decode(genome.codes(genome.names[contig], pos - 1, last))
    return "ref-mismatch", f"the file has {_few(ref.upper())}, the genome {_few(there)}"


def _textual(ref: str, alt: str) -> tuple[str, str]:
    """Reason and detail where the letters alone say that there is nothing to score."""
    if alt in (".", ""):
        return "missing-alt", "no alternate allele"
    if alt == "*":
        return "star", "the allele is missing because of a deletion in another record"
    if "[" in alt or "]" in alt or alt.startswith(".") or alt.endswith("."):
        return "breakend", _few(alt)
    if "<" in alt:
        return "symbolic", _few(alt)
    if ref.upper() == alt.upper() and not set(ref.upper()) - set("ACGT"):
        return "same-as-ref", f"both are {_few(ref)}"
    side, text = ("REF", ref) if set(ref.upper()) - set("ACGT") else ("ALT", alt)
    return "not-acgt", f"{side} is {_few(text)!r}"


def _few(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}... ({len(text)} bases)"
