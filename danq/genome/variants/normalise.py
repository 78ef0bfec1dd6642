"""Check alleles against the genome, trim them and left-align them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from danq._jit import kernel
from danq.genome.packed_genome import PackedGenome
from danq.genome.two_bit_packing import first_above
from danq.typing import BoolRow, Codes, IntRow

OK, NOT_ACGT, SAME, UNKNOWN, BEYOND, MISMATCH = range(6)
"""Results of checking an ALT allele against the genome."""

CODES = np.full(256, 4, dtype=np.uint8)
for _code, _letter in enumerate("ACGT"):
    CODES[ord(_letter)] = CODES[ord(_letter.lower())] = _code


class Ragged(NamedTuple):
    """Alleles end to end: allele ``i`` is ``codes[at[i]:at[i + 1]]``; 4 is any other letter."""

    codes: Codes
    at: IntRow

    @classmethod
    def of(cls, alleles: list[str]) -> Ragged:
        """Join alleles in upper or lower case."""
        # Latin-1 has one byte per letter; letters outside it become '?'.
        text = "".join(alleles).encode("latin-1", errors="replace")
        at = np.zeros(len(alleles) + 1, dtype=np.int64)
        np.cumsum(np.fromiter(map(len, alleles), dtype=np.int64, count=len(alleles)), out=at[1:])
        return cls(CODES[np.frombuffer(text, dtype=np.uint8)], at)


class Normalised(NamedTuple):
    """Result of :func:`normalise`, one element per ALT allele.

    Attributes
    ----------
    found
        ``(V,)`` int8, OK or the problem. The other arrays are valid only where it is OK.
    swapped
        ``(V,)`` whether the roles of REF and ALT were exchanged.
    start
        ``(V,)`` 0-based position of the first base of the normalised reference allele.
    skip
        ``(V,)`` bases trimmed off the left end of both alleles.
    ref_size, alt_size
        ``(V,)`` bases of the trimmed alleles.
    shift
        ``(V,)`` bases by which left-alignment then moved the allele.
    """

    found: np.ndarray
    swapped: BoolRow
    start: IntRow
    skip: IntRow
    ref_size: IntRow
    alt_size: IntRow
    shift: IntRow


def normalise(
    genome: PackedGenome,
    contig: IntRow,
    pos: IntRow,
    ref: Ragged,
    alt: Ragged,
    *,
    swap: bool = False,
    align: bool = True,
) -> Normalised:
    """Check ALT alleles against a genome and normalise those whose REF matches it.

    Trimming and left-alignment follow Tan, Abecasis and Kang 2015 (Bioinformatics 31, 2202),
    as ``bcftools norm`` does.

    Parameters
    ----------
    genome
        The reference.
    contig
        ``(V,)`` contig numbers, -1 for unknown.
    pos
        ``(V,)`` 0-based positions of the first base of REF.
    ref, alt
        Alleles, V each.
    swap
        Exchange REF and ALT where the genome has ALT and not REF.
    align
        Left-align; False trims only.
    """
    rows = pos.size
    found = np.empty(rows, dtype=np.int8)
    swapped = np.zeros(rows, dtype=np.bool_)
    start, skip, ref_size, alt_size, shift = np.zeros((5, rows), dtype=np.int64)
    out = Normalised(found, swapped, start, skip, ref_size, alt_size, shift)
    _normalise(genome.arrays, contig, pos, ref, alt, swap, align, out)
    return out


@kernel
def _base(bases, offset, n_start, n_end, position):
    """Code at a position inside the contig that starts at byte ``offset``."""
    base = 4 * offset + position
    run = first_above(n_end, base)
    if run < n_start.size and n_start[run] <= base:
        return 4
    return (bases[offset + position // 4] >> (2 * (position % 4))) & 3


@kernel
def _agrees(bases, offset, length, n_start, n_end, position, codes):
    """Whether the genome has these codes at a position."""
    if position < 0 or position + codes.size > length:
        return False
    for i in range(codes.size):
        at = position + i
        if (bases[offset + at // 4] >> (2 * (at % 4))) & 3 != codes[i]:
            return False
    low = 4 * offset + position
    run = first_above(n_end, low)
    return run >= n_start.size or n_start[run] >= low + codes.size


@kernel
def _same(one, other):
    same = one.size == other.size
    for i in range(min(one.size, other.size)):
        same &= one[i] == other[i]
    return same


@kernel
def _no_acgt(codes):
    for code in codes:
        if code > 3:
            return True
    return codes.size == 0


@kernel
def _shift(bases, offset, n_start, n_end, start, allele):
    """Bases by which an insertion or deletion at ``start`` can move to the left."""
    size = allele.size
    moved = 0
    while start - moved > 0:
        if moved < size:
            last = allele[size - 1 - moved]
        else:
            last = _base(bases, offset, n_start, n_end, start - moved + size - 1)
        if last != _base(bases, offset, n_start, n_end, start - moved - 1):
            break
        moved += 1
    return moved


@kernel
def _normalise(genome, contig, pos, refs, alts, swap, align, out):
    """Fill ``out``, the arrays of a :class:`Normalised`."""
    bases, offsets, lengths, n_start, n_end = genome
    found, swapped, start, skip, ref_size, alt_size, shift = out
    ref_codes, ref_at = refs
    alt_codes, alt_at = alts
    for row in range(pos.size):
        ref = ref_codes[ref_at[row] : ref_at[row + 1]]
        alt = alt_codes[alt_at[row] : alt_at[row + 1]]
        number, at = contig[row], pos[row]
        if _no_acgt(ref) or _no_acgt(alt):
            found[row] = NOT_ACGT
            continue
        if _same(ref, alt):
            found[row] = SAME
            continue
        if number < 0:
            found[row] = UNKNOWN
            continue
        offset, length = offsets[number], lengths[number]
        if at < 0 or at + ref.size > length:
            found[row] = BEYOND
            continue
        if not _agrees(bases, offset, length, n_start, n_end, at, ref):
            if not (swap and _agrees(bases, offset, length, n_start, n_end, at, alt)):
                found[row] = MISMATCH
                continue
            swapped[row] = True
            ref, alt = alt, ref
        found[row] = OK
        r, a, first = ref.size, alt.size, 0
        while r > 0 and a > 0 and ref[r - 1] == alt[a - 1]:
            r -= 1
            a -= 1
        while first < r and first < a and ref[first] == alt[first]:
            first += 1
        start[row], skip[row] = at + first, first
        ref_size[row], alt_size[row] = r - first, a - first
        if align and (r == first) != (a == first):
            allele = ref[first:r] if a == first else alt[first:a]
            shift[row] = _shift(bases, offset, n_start, n_end, start[row], allele)
            start[row] -= shift[row]


def _plain_normalise(contig: str, pos: int, ref: str, alt: str) -> tuple[int, str, str]:
    """Plain twin of the kernel for one allele that matches its contig, on text.

    Returns
    -------
    tuple
        0-based start, and both alleles without the base that VCF adds before an indel.
    """
    start = pos
    while ref and alt and ref[-1] == alt[-1]:
        ref, alt = ref[:-1], alt[:-1]
        if not (ref and alt) and start > 0:
            start -= 1
            ref, alt = contig[start] + ref, contig[start] + alt
    while ref and alt and ref[0] == alt[0]:
        ref, alt, start = ref[1:], alt[1:], start + 1
    return start, ref, alt
