"""The kernel that puts together the windows of ALT alleles, from the variant outwards."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from danq._jit import kernel
from danq.genome.packed_genome import PackedGenome
from danq.genome.two_bit_packing import first_above
from danq.genome.variants.normalise import Ragged
from danq.genome.variants.variant_block import VariantBlock
from danq.genome.variants.window_pieces import WindowPieces
from danq.genome.variants.write_pieces import (
    Written,
    add_codes,
    add_interval,
    finish_window,
    is_stored,
)
from danq.typing import BoolRow, Codes, IntRow

ALL_PHASES = -2
"""Phase set of a row whose neighbours are only the edits on every haplotype."""


class Edits(NamedTuple):
    """Alleles that a sample carries, sorted by contig, start, end.

    Attributes
    ----------
    first
        ``(C + 1,)`` index of each contig's first edit; the edits of contig ``c`` end where
        those of ``c + 1`` start.
    start, end
        ``(E,)`` bases of the genome that are replaced, 0-based half-open.
    at, codes
        Edit ``e`` replaces them by ``codes[at[e]:at[e + 1]]``.
    carriers
        ``(E,)`` bit ``h - 1`` is set where haplotype ``h`` carries it.
    missing
        ``(E,)`` bit ``h - 1`` is set where the allele of haplotype ``h`` is missing (``.``).
    every
        ``(E,)`` whether all haplotypes carry it.
    phase
        ``(E,)`` phase set; edits of one phase set have the same haplotype 1. -1: unphased.
    longest
        Largest number of bases that an edit replaces.
    """

    first: IntRow
    start: IntRow
    end: IntRow
    at: IntRow
    codes: Codes
    carriers: IntRow
    missing: IntRow
    every: BoolRow
    phase: IntRow
    longest: int


def _none() -> Edits:
    empty = np.zeros(0, dtype=np.int64)
    zero = np.zeros(1, dtype=np.int64)
    codes, flags = np.zeros(0, dtype=np.uint8), np.zeros(0, dtype=np.bool_)
    return Edits(zero, empty, empty, zero, codes, empty, empty, flags, empty, 0)


NO_EDITS = _none()


class Alleles(NamedTuple):
    """Normalised ALT alleles, V in all.

    Attributes
    ----------
    contig, start
        ``(V,)`` contig number, and 0-based position of the first base of the reference allele.
    ref, alt
        Trimmed and left-aligned alleles.
    """

    contig: IntRow
    start: IntRow
    ref: Ragged
    alt: Ragged

    @classmethod
    def of(cls, block: VariantBlock) -> Alleles:
        """The alleles of a block."""
        ref, alt = Ragged.of(block.ref_allele), Ragged.of(block.alt_allele)
        return cls(block.contig, block.start, ref, alt)


class Frame(NamedTuple):
    """How a window is placed on its variant.

    Attributes
    ----------
    window, center
        Bases L, and the index of the base that VCF calls POS.
    right
        Whether the base after the alternate allele keeps its index, instead of the base before.
    """

    window: int
    center: int
    right: bool


class Neighbours(NamedTuple):
    """Which other alleles of a sample belong into the windows of V ALT alleles.

    Attributes
    ----------
    edits
        All alleles that the sample carries.
    haplotype, phase
        ``(V,)`` haplotype whose edits are applied: -1 none, 0 only those on every haplotype,
        otherwise from 1; and the phase set of the allele.
    own_end
        ``(V,)`` position before which no neighbour on the right of the allele may start.
    own
        ``(V,)`` index of the allele itself among the edits, or -1.
    """

    edits: Edits
    haplotype: IntRow
    phase: IntRow
    own_end: IntRow
    own: IntRow

    @classmethod
    def none(cls, rows: int) -> Neighbours:
        """No neighbours: every window holds its own allele alone."""
        zeros, absent = np.zeros(rows, dtype=np.int64), np.full(rows, -1, dtype=np.int64)
        return cls(NO_EDITS, absent, zeros, zeros, absent)


class ComposedWindows(NamedTuple):
    """Windows of V ALT alleles.

    Attributes
    ----------
    reference, alternate
        V windows each.
    padded
        ``(V,)`` whether either window extends past an end of the contig.
    applied, left_out
        ``(2, V)`` neighbours that are applied, and neighbours that could not be, in the reference
        and in the alternate windows.
    low, high
        ``(2, V)`` bases of the contig that the windows cover, 0-based half-open; they may extend
        past its ends.
    """

    reference: WindowPieces
    alternate: WindowPieces
    padded: BoolRow
    applied: IntRow
    left_out: IntRow
    low: IntRow
    high: IntRow


def compose_windows(
    genome: PackedGenome, alleles: Alleles, frame: Frame, neighbours: Neighbours
) -> ComposedWindows:
    """Put together the reference and the alternate window of each ALT allele."""
    rows = alleles.contig.size
    pieces, codes = 5 * rows, alleles.ref.codes.size + alleles.alt.codes.size
    while True:
        # The number of neighbours is known only after the windows are put together.
        sides = tuple(Written.empty(rows, pieces, codes) for _ in range(2))
        padded = np.zeros(rows, dtype=np.bool_)
        counts_and_bounds = np.zeros((4, 2, rows), dtype=np.int64)
        _compose(genome.arrays, alleles, frame, neighbours, sides, padded, counts_and_bounds)
        if all(side.complete for side in sides):
            break
        pieces, codes = np.max([side.used for side in sides], axis=0)
    reference, alternate = (side.pieces(frame.window) for side in sides)
    return ComposedWindows(reference, alternate, padded, *counts_and_bounds)


@kernel
def _compose(genome, alleles, frame, neighbours, sides, padded, counts_and_bounds):
    bases, offsets, lengths, n_start, n_end = genome
    contigs, starts, refs, alts = alleles
    edits, haplotypes, phases, own_ends, own = neighbours
    applied, left_out, lows, highs = counts_and_bounds
    for row in range(contigs.size):
        contig, start = contigs[row], starts[row]
        bounds = offsets[contig], lengths[contig]
        ref = refs.codes[refs.at[row] : refs.at[row + 1]]
        alt = alts.codes[alts.at[row] : alts.at[row + 1]]
        end = start + ref.size
        low, high, near = 0, 0, 0
        if haplotypes[row] >= 0:
            low, high = edits.first[contig], edits.first[contig + 1]
            near = low + first_above(edits.start[low:high], start - 1)
            while near < high and edits.start[near] == start and edits.end[near] < end:
                near += 1
        view = low, near, high, haplotypes[row], phases[row], own[row]
        first = frame.center + (ref.size == 0 or alt.size == 0)
        span = start, end, max(end, own_ends[row])
        for side in range(2):
            codes = ref if side == 0 else alt
            target = sides[side]
            at = first
            if frame.right and side == 1:
                at = first + ref.size - codes.size
            if side == 0 and is_stored(bases, bounds, n_start, n_end, start, codes):
                add_interval(target, at, codes.size, start, bounds)
            else:
                add_codes(target, at, codes)
            left = _fill_left(target, at, span, bounds, edits, view)
            right = _fill_right(target, at + codes.size, frame.window, span, bounds, edits, view)
            padded[row] |= left[0] or right[0]
            applied[side, row] = left[1] + right[1]
            left_out[side, row] = left[2] + right[2]
            lows[side, row], highs[side, row] = left[3], right[3]
            finish_window(target, row)


@kernel
def _is_carried(edits, edit, haplotype, phase):
    """1 when an edit is on a row's haplotype, 0 when it is not, -1 when this is unknown."""
    if edits.every[edit]:
        return 1
    if haplotype < 1 or edits.phase[edit] < 0 or edits.phase[edit] != phase:
        return -1
    if (edits.missing[edit] >> (haplotype - 1)) & 1:
        return -1
    return (edits.carriers[edit] >> (haplotype - 1)) & 1


@kernel
def _fill_left(target, at, span, bounds, edits, view):
    """Add the pieces before index ``at``, leftwards from the variant.

    Returns whether the window extends past the contig, the neighbours that are applied and left
    out, and the first base of the contig that the window covers.
    """
    low, near, _, haplotype, phase, own = view
    boundary = span[0]
    insertion = span[0] if span[0] == span[1] else -1
    outside, applied, left_out, first = False, 0, 0, boundary
    edit = near - 1
    while at > 0:
        found = -1
        while edit >= low and edits.start[edit] + edits.longest > boundary - at:
            here = edit
            edit -= 1
            start, end = edits.start[here], edits.end[here]
            if here == own:
                continue
            carried = _is_carried(edits, here, haplotype, phase)
            if carried == 0:
                continue
            if carried < 0 or end > boundary or (start == end and start == insertion):
                left_out += end > boundary - at
                continue
            # An edit that ends before the window still excludes those that overlap it.
            found = here if end > boundary - at else -1
            break
        stop = boundary - at if found < 0 else edits.end[found]
        at -= boundary - stop
        outside |= add_interval(target, at, boundary - stop, stop, bounds)
        if found >= 0:
            codes = edits.codes[edits.at[found] : edits.at[found + 1]]
            shown = min(codes.size, at)
            at -= shown
            add_codes(target, at, codes[codes.size - shown :])
            boundary = edits.start[found]
            if edits.start[found] == edits.end[found]:
                insertion = boundary
            applied += 1
            first = boundary
        else:
            first = stop
    # Those that overlap the last one, and begin before it, may still extend into the window.
    while edit >= low and edits.start[edit] + edits.longest > first:
        inside = edits.end[edit] > first and edit != own
        left_out += inside and _is_carried(edits, edit, haplotype, phase) != 0
        edit -= 1
    return outside, applied, left_out, first


@kernel
def _fill_right(target, at, size, span, bounds, edits, view):
    """Add the pieces from index ``at`` to ``size``, rightwards; as `_fill_left`, with the end."""
    _, near, high, haplotype, phase, own = view
    boundary, free = span[1], span[2]
    insertion = span[0] if span[0] == span[1] else -1
    outside, applied, left_out, last = False, 0, 0, boundary
    edit = near
    while at < size:
        found = -1
        while edit < high and edits.start[edit] < boundary + size - at:
            here = edit
            edit += 1
            start, end = edits.start[here], edits.end[here]
            if here == own:
                continue
            carried = _is_carried(edits, here, haplotype, phase)
            if carried == 0:
                continue
            if carried < 0 or start < free or (start == end and start == insertion):
                left_out += 1
                continue
            found = here
            break
        stop = boundary + size - at if found < 0 else edits.start[found]
        outside |= add_interval(target, at, stop - boundary, boundary, bounds)
        at += stop - boundary
        if found >= 0:
            codes = edits.codes[edits.at[found] : edits.at[found + 1]]
            shown = min(codes.size, size - at)
            add_codes(target, at, codes[:shown])
            at += shown
            boundary = free = edits.end[found]
            if edits.start[found] == edits.end[found]:
                insertion = boundary
            applied += 1
            last = boundary
        else:
            last = stop
    # Those that overlap the last one may still begin in the window.
    while edit < high and edits.start[edit] < last:
        carried = edit != own and _is_carried(edits, edit, haplotype, phase) != 0
        left_out += carried
        edit += 1
    return outside, applied, left_out, last
