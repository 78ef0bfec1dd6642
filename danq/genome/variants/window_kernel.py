"""The kernel that writes a window from a variant outwards, other edits included."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from danq._jit import kernel
from danq.genome.packed_genome import PackedGenome
from danq.genome.two_bit_packing import read_stretch
from danq.genome.variants.normalise import Ragged
from danq.typing import BoolRow, CodeBatch, Codes, IntRow

ALL_PHASES = -2
"""Phase set of a row that goes with no phased edit, only with those on every haplotype."""


class Edits(NamedTuple):
    """Alleles that a sample carries, sorted by contig, start, end.

    Attributes
    ----------
    first
        ``(C + 1,)`` place of each contig's first edit; the edits of contig ``c`` end where
        those of ``c + 1`` begin.
    start, end
        ``(E,)`` bases of the genome that are replaced, 0-based half-open.
    at, codes
        Edit ``e`` puts ``codes[at[e]:at[e + 1]]`` there.
    carriers
        ``(E,)`` bit ``h - 1`` tells whether haplotype ``h`` carries it.
    every
        ``(E,)`` whether all haplotypes carry it.
    phase
        ``(E,)`` phase set; edits of one phase set have the same haplotype 1. -1: unphased.
    longest
        Most bases that an edit replaces.
    """

    first: IntRow
    start: IntRow
    end: IntRow
    at: IntRow
    codes: Codes
    carriers: IntRow
    every: BoolRow
    phase: IntRow
    longest: int


def _none() -> Edits:
    empty = np.zeros(0, dtype=np.int64)
    zero = np.zeros(1, dtype=np.int64)
    codes, flags = np.zeros(0, dtype=np.uint8), np.zeros(0, dtype=np.bool_)
    return Edits(zero, empty, empty, zero, codes, empty, flags, empty, 0)


NO_EDITS = _none()


def compose_windows(
    genome: PackedGenome,
    contig: IntRow,
    start: IntRow,
    ref: Ragged,
    alt: Ragged,
    window: int,
    center: int,
    right: bool,
    edits: Edits,
    haplotype: IntRow,
    phase: IntRow,
    own_end: IntRow,
    own: IntRow | None = None,
) -> tuple[CodeBatch, CodeBatch, BoolRow, IntRow, IntRow]:
    """Write both windows of V variant-alleles.

    Parameters
    ----------
    genome
        The reference.
    contig, start, ref, alt
        Normalised variant-alleles, ``start`` 0-based.
    window, center
        Bases L, and the index of the base that VCF calls POS.
    right
        Keep the base after the alternate allele in its place, not the one before.
    edits
        What else the sample carries.
    haplotype, phase
        ``(V,)`` haplotype that a row takes its neighbours from: -1 none at all, 0 only those
        on every haplotype, else from 1 on; and the phase set that it is in.
    own_end
        ``(V,)`` base before which no neighbour may begin on the right of a row.
    own
        ``(V,)`` place of the row's own allele among the edits, or -1; None for -1.

    Returns
    -------
    reference, alternate
        ``(V, L)`` codes.
    padded
        ``(V,)`` whether one of them leaves the contig.
    applied, left_out
        ``(V,)`` neighbours in the alternate window, and those that could not be applied.
    """
    rows = contig.size
    reference, alternate = np.empty((2, rows, window), dtype=np.uint8)
    padded = np.zeros(rows, dtype=np.bool_)
    applied, left_out = np.zeros((2, rows), dtype=np.int64)
    mine = np.full(rows, -1, dtype=np.int64) if own is None else own
    arrays = genome.bases, genome.offsets, genome.lengths, genome.n_start, genome.n_end
    row_arrays = contig, start, haplotype, phase, own_end, mine
    out = reference, alternate, padded, applied, left_out
    _compose(arrays, row_arrays, ref, alt, center, right, edits, out)
    return out


@kernel
def _compose(arrays, row_arrays, ref, alt, center, right, edits, out):
    bases, offsets, lengths, n_start, n_end = arrays
    contig, start, haplotype, phase, own_end, own = row_arrays
    reference, alternate, padded, applied, left_out = out
    for row in range(contig.size):
        number = contig[row]
        place = bases, offsets[number], lengths[number], n_start, n_end
        low, high, near = 0, 0, 0
        size = ref.at[row + 1] - ref.at[row]
        end = start[row] + size
        if haplotype[row] >= 0:
            low, high = edits.first[number], edits.first[number + 1]
            near = low + np.searchsorted(edits.start[low:high], start[row])
            while near < high and edits.start[near] == start[row] and edits.end[near] < end:
                near += 1
        view = low, near, high, haplotype[row], phase[row], own[row]
        ref_codes = ref.codes[ref.at[row] : ref.at[row + 1]]
        alt_codes = alt.codes[alt.at[row] : alt.at[row + 1]]
        first = center + (ref_codes.size == 0 or alt_codes.size == 0)
        span = start[row], end, max(end, own_end[row])
        for side in range(2):
            codes = ref_codes if side == 0 else alt_codes
            target = reference[row] if side == 0 else alternate[row]
            at = first
            if right and side == 1:
                at = first + size - codes.size
            target[at : at + codes.size] = codes
            left = _fill_left(target, at, span, place, edits, view)
            right_ = _fill_right(target, at + codes.size, span, place, edits, view)
            padded[row] |= left[0] or right_[0]
            if side == 1:
                applied[row] = left[1] + right_[1]
                left_out[row] = left[2] + right_[2]


@kernel
def _goes(edits, edit, haplotype, phase):
    """1 when an edit lies on a row's haplotype, 0 when it does not, -1 when nobody knows."""
    if edits.every[edit]:
        return 1
    if haplotype < 1 or edits.phase[edit] < 0 or edits.phase[edit] != phase:
        return -1
    return (edits.carriers[edit] >> (haplotype - 1)) & 1


@kernel
def _fill_left(target, at, span, place, edits, view):
    """Write ``target[:at]``, going left from the variant."""
    bases, offset, length, n_start, n_end = place
    low, near, _, haplotype, phase, own = view
    boundary = span[0]
    insertion = span[0] if span[0] == span[1] else -1
    outside, applied, left_out = False, 0, 0
    edit = near - 1
    while at > 0:
        found = -1
        while edit >= low and edits.start[edit] + edits.longest > boundary - at:
            here = edit
            edit -= 1
            start, end = edits.start[here], edits.end[here]
            if here == own:
                continue
            goes = _goes(edits, here, haplotype, phase)
            if goes == 0:
                continue
            if goes < 0 or end > boundary or (start == end and start == insertion):
                left_out += end > boundary - at
                continue
            # One that ends before the window still rules out those that overlap it.
            found = here if end > boundary - at else -1
            break
        stop = boundary - at if found < 0 else edits.end[found]
        part = target[at - (boundary - stop) : at]
        outside |= read_stretch(bases, offset, length, n_start, n_end, stop, part)
        at -= boundary - stop
        if found >= 0:
            codes = edits.codes[edits.at[found] : edits.at[found + 1]]
            shown = min(codes.size, at)
            target[at - shown : at] = codes[codes.size - shown :]
            at -= shown
            boundary = edits.start[found]
            if edits.start[found] == edits.end[found]:
                insertion = boundary
            applied += 1
    return outside, applied, left_out


@kernel
def _fill_right(target, at, span, place, edits, view):
    """Write ``target[at:]``, going right from the variant."""
    bases, offset, length, n_start, n_end = place
    _, near, high, haplotype, phase, own = view
    boundary, free = span[1], span[2]
    insertion = span[0] if span[0] == span[1] else -1
    outside, applied, left_out = False, 0, 0
    edit = near
    while at < target.size:
        found = -1
        while edit < high and edits.start[edit] < boundary + target.size - at:
            here = edit
            edit += 1
            start, end = edits.start[here], edits.end[here]
            if here == own:
                continue
            goes = _goes(edits, here, haplotype, phase)
            if goes == 0:
                continue
            if goes < 0 or start < free or (start == end and start == insertion):
                left_out += 1
                continue
            found = here
            break
        stop = boundary + target.size - at if found < 0 else edits.start[found]
        part = target[at : at + stop - boundary]
        outside |= read_stretch(bases, offset, length, n_start, n_end, boundary, part)
        at += stop - boundary
        if found >= 0:
            codes = edits.codes[edits.at[found] : edits.at[found + 1]]
            shown = min(codes.size, target.size - at)
            target[at : at + shown] = codes[:shown]
            at += shown
            boundary = free = edits.end[found]
            if edits.start[found] == edits.end[found]:
                insertion = boundary
            applied += 1
    return outside, applied, left_out
