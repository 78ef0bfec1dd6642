"""Cut windows around variants with the reference and with the alternate allele."""

from __future__ import annotations

from typing import Literal, NamedTuple

from danq.errors import InputError
from danq.genome.packed_genome import PackedGenome
from danq.genome.variants.variant_block import VariantBlock
from danq.genome.variants.window_kernel import (
    Alleles,
    ComposedWindows,
    Frame,
    Neighbours,
    compose_windows,
)
from danq.typing import BoolRow, CodeBatch

Anchor = Literal["left", "right"]
ANCHORS = ("left", "right")
SHORTEST = 4


class Windows(NamedTuple):
    """Windows of V ALT alleles.

    Attributes
    ----------
    reference, alternate
        ``(V, L)`` uint8 codes with the reference and the alternate allele.
    padded
        ``(V,)`` whether either window extends past an end of the contig, where it is 4.
    """

    reference: CodeBatch
    alternate: CodeBatch
    padded: BoolRow


def window_center(window: int, center: int | None = None) -> int:
    """Index of the variant in a window: ``window // 2 - 1`` by default.

    Raises
    ------
    InputError
        When the window is below 4 bases, or there is no base before the index or fewer than two
        after it.
    """
    if window < SHORTEST:
        raise InputError(f"a window of {window} bases is below {SHORTEST}")
    if center is None:
        return window // 2 - 1
    if not 1 <= center <= window - 3:
        raise InputError(
            f"center is {center}; in a window of {window} it is from 1 to {window - 3}",
            remedy="The window also contains the base before an indel and two bases after it",
        )
    return center


def longest_allele(window: int, center: int | None = None) -> int:
    """Largest number of bases of a normalised allele that a window can hold with both flanks.

    This is ``min(center, window - center - 2)``: 499 for a window of 1000. With either
    anchor, a base of the genome remains on both sides of the allele.
    """
    at = window_center(window, center)
    return min(at, window - at - 2)


def anchored_windows(
    genome: PackedGenome,
    block: VariantBlock,
    window: int,
    *,
    center: int | None = None,
    anchor: Anchor = "left",
) -> Windows:
    """Windows of a block's variants, each alone on the reference.

    Index ``center`` of the reference window is the base that VCF calls POS for a normalised
    variant: the first base of a substitution, or the base before an insertion or deletion. The
    reference window does not depend on the anchor. With the left anchor, the alternate window
    starts at the same base of the genome, and bases are added or removed at its right end. With
    the right anchor, the base after the reference allele keeps its index, and bases are added or
    removed at the left end. Alleles of equal length have the same window with either anchor.

    Parameters
    ----------
    genome
        The reference genome with which ``block`` was read.
    block
        V ALT alleles.
    window
        Bases L.
    center
        Index described above; None for ``window // 2 - 1``, as in DeepSEA.
    anchor
        "left" or "right".

    Raises
    ------
    InputError
        As :func:`window_center`; when an allele is longer than :func:`longest_allele`; when
        ``anchor`` is neither "left" nor "right".
    """
    done = anchored_pieces(genome, block, window, center=center, anchor=anchor)
    return Windows(done.reference.written(genome), done.alternate.written(genome), done.padded)


def anchored_pieces(
    genome: PackedGenome,
    block: VariantBlock,
    window: int,
    *,
    center: int | None = None,
    anchor: Anchor = "left",
) -> ComposedWindows:
    """As :func:`anchored_windows`, but the windows are not written yet."""
    frame = checked_frame(block, window, center, anchor)
    return compose_windows(genome, Alleles.of(block), frame, Neighbours.none(len(block)))


def checked_frame(block: VariantBlock, window: int, center: int | None, anchor: str) -> Frame:
    """Place windows on their variants.

    Raises
    ------
    InputError
        As :func:`anchored_windows`.
    """
    if anchor not in ANCHORS:
        raise InputError(f"the anchor is '{anchor}', not left or right")
    at = window_center(window, center)
    limit = longest_allele(window, at)
    for ref, alt, record in zip(block.ref_allele, block.alt_allele, block.record, strict=True):
        if len(ref) > limit or len(alt) > limit:
            raise InputError(
                f"an allele of {max(len(ref), len(alt))} bases is above {limit}, the most that "
                f"a window of {window} permits",
                record=str(record),
                remedy="Reject them (longest=longest_allele(window)), or use a longer window",
            )
    return Frame(window, at, anchor == "right")
