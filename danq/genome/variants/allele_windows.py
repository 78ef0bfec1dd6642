"""Windows around variants, with the reference allele and with the alternate one."""

from __future__ import annotations

from typing import Literal, NamedTuple

from danq.errors import InputError
from danq.genome.packed_genome import PackedGenome
from danq.genome.variants.variant_block import VariantBlock
from danq.genome.variants.window_kernel import Alleles, Frame, Neighbours, compose_windows
from danq.typing import BoolRow, CodeBatch

Anchor = Literal["left", "right"]
ANCHORS = ("left", "right")
SHORTEST = 4


class Windows(NamedTuple):
    """Windows of V variant-alleles.

    Attributes
    ----------
    reference, alternate
        ``(V, L)`` uint8 codes with either allele.
    padded
        ``(V,)`` whether one of the two hangs over an end of the contig, where it holds 4.
    """

    reference: CodeBatch
    alternate: CodeBatch
    padded: BoolRow


def window_center(window: int, center: int | None = None) -> int:
    """Index at which a window holds its variant: ``window // 2 - 1`` unless chosen.

    Raises
    ------
    InputError
        When the window is below 4 bases, or the index leaves no base before it or fewer
        than two after it.
    """
    if window < SHORTEST:
        raise InputError(f"a window of {window} bases is below {SHORTEST}")
    if center is None:
        return window // 2 - 1
    if not 1 <= center <= window - 3:
        raise InputError(
            f"a centre of {center} is not from 1 to {window - 3}, as a window of {window} asks for"
        )
    return center


def longest_allele(window: int, center: int | None = None) -> int:
    """Most bases of a normalised allele with which a window still shows both its flanks.

    This is ``min(center, window - center - 2)``: 499 of a window of 1000. With either
    anchor, such an allele leaves a base of the genome on both sides.
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
    """Windows of a block's variants, each by itself on the reference.

    At index ``center`` of the reference window stands the base that VCF calls POS once a
    variant is normalised: the first base of a substitution, the base before an insertion or
    deletion. The reference window is the genome's, whatever the anchor. With the anchor on
    the left the alternate window starts at the same base of the genome and is refilled on
    the right; with the anchor on the right the base after the reference allele keeps its
    index, and the window is refilled on the left. Alleles of one length give one window
    either way.

    Parameters
    ----------
    genome
        The reference, the one that ``block`` was read with.
    block
        V variant-alleles.
    window
        Bases L.
    center
        Index described above; None for ``window // 2 - 1``, as in DeepSEA.
    anchor
        "left" or "right".

    Raises
    ------
    InputError
        As :func:`window_center`; at an allele above :func:`longest_allele`; when ``anchor``
        is neither.
    """
    frame = checked_frame(block, window, center, anchor)
    done = compose_windows(genome, Alleles.of(block), frame, Neighbours.none(len(block)))
    return Windows(done.reference, done.alternate, done.padded)


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
                remedy="Have such alleles rejected (longest=longest_allele(window)), or take a "
                "longer window",
            )
    return Frame(window, at, anchor == "right")
