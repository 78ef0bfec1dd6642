"""The reasons for which an ALT allele is rejected, and the text that explains each."""

from __future__ import annotations

from typing import NamedTuple

from danq.genome.nucleotide_codes import decode
from danq.genome.packed_genome import PackedGenome
from danq.genome.variants.normalise import BEYOND, MISMATCH, NOT_ACGT, SAME, UNKNOWN

SHOWN = 20
"""Largest number of bases that a message shows of an allele."""


REASONS = {
    "missing-ref": "REF is empty or '.'",
    "missing-alt": "ALT is '.' or empty",
    "star": "ALT is '*': a deletion in another record spans the position",
    "symbolic": "ALT is symbolic, such as <DEL>",
    "breakend": "ALT is a breakend",
    "not-acgt": "an allele has letters other than A, C, G, T",
    "same-as-ref": "ALT is the same as REF",
    "unknown-contig": "the genome has no such contig",
    "other-length": "the mitochondrial contig has another length in the genome",
    "beyond-contig": "REF is not inside the contig",
    "ref-mismatch": "REF differs from the genome",
    "too-long": "an allele is too long for a window that shows both its flanks",
}
"""Reasons for a reject, in the order in which they are checked."""


class Reject(NamedTuple):
    """A rejected ALT allele, which gets no scores.

    Attributes
    ----------
    record
        1-based number of its record in the input.
    chrom, pos, id, ref, alt
        As in the input; ``pos`` is 1-based.
    reason
        A key of `REASONS`.
    detail
        Details of this case, such as both alleles of a mismatch.
    """

    record: int
    chrom: str
    pos: int
    id: str
    ref: str
    alt: str
    reason: str
    detail: str


def explain(
    genome: PackedGenome, found: int, contig: int, chrom: str, pos: int, ref: str, alt: str
) -> tuple[str, str]:
    """Reason and detail of a reject.

    Parameters
    ----------
    genome
        The reference.
    found
        Result of :func:`danq.genome.variants.normalise.normalise`, other than OK.
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
    """Reason and detail of a reject that follows from the alleles alone."""
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
