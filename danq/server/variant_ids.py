"""Variants by their ID, from a VCF or BCF."""

from __future__ import annotations

from danq.errors import InputError
from danq.genome.packed_genome import PackedGenome
from danq.genome.variants import open_variants
from danq.server.typed_variants import TypedVariant
from danq.typing import Location

MAX_IDS = 5_000_000
"""Largest number of IDs that are held in memory."""


def read_ids(path: Location, genome: PackedGenome) -> dict[str, list[TypedVariant]]:
    """Read the variants of a file that have an ID.

    Parameters
    ----------
    path
        VCF, BCF or table of variants.
    genome
        The genome of its positions.

    Raises
    ------
    InputError
        As `danq.genome.variants.open_variants`; when no variant has an ID, or too many have one.
    """
    found: dict[str, list[TypedVariant]] = {}
    with open_variants(path, genome) as reader:
        for block in reader:
            rows = zip(block.chrom, block.pos.tolist(), block.ref, block.alt, block.id, strict=True)
            rejects = ((one.chrom, one.pos, one.ref, one.alt, one.id) for one in block.rejects)
            for chrom, pos, ref, alt, ids in (*rows, *rejects):
                for id in ids.split(";"):
                    if id not in ("", "."):
                        found.setdefault(id, []).append(TypedVariant(chrom, pos, ref, alt, id))
            if len(found) > MAX_IDS:
                raise InputError(
                    f"has more than {MAX_IDS:,} IDs",
                    file=path,
                    remedy="Select the variants that you need, with bcftools view",
                )
    if not found:
        raise InputError(
            "no variant has an ID", file=path, remedy="Give a VCF with IDs, or leave it out"
        )
    return found
