"""A block of variants in arrays: records, normalised alleles and rejects."""

from __future__ import annotations

from dataclasses import dataclass

from danq.genome.variants.reject_reasons import Reject
from danq.typing import BoolRow, IntRow


@dataclass(frozen=True, eq=False)
class VariantBlock:
    """Consecutive records as V ALT alleles, one per row, in the order of the input.

    A record with several ALT alleles has one row for each, in their order. Every ALT allele is
    either a row or a reject; a record without ALT counts as one.

    Attributes
    ----------
    number
        Number of the block in the input, from 0.
    first, records
        1-based number of the first record, and the number of records.
    record, allele
        ``(V,)`` number of the record in the input and of the ALT allele in the record, 1-based.
    chrom, pos, id, ref, alt
        V each, as in the input, ``pos`` 1-based; ``ref`` and ``alt`` are exchanged where
        ``swapped``.
    contig, start
        ``(V,)`` number of the contig in the genome, and 0-based position of the first base
        of ``ref_allele``.
    ref_allele, alt_allele
        Trimmed and left-aligned as by ``bcftools norm``, in upper case, but without the base
        that VCF adds before an indel. One of them is empty for a pure insertion or deletion.
    moved
        ``(V,)`` whether left-alignment moved the variant.
    swapped
        ``(V,)`` whether REF and ALT were exchanged, because the genome has ALT.
    rejects
        Rejects among these records, in the order of the input.
    lines
        Each record as text without its line end; None unless requested.
    """

    number: int
    first: int
    records: int
    record: IntRow
    allele: IntRow
    chrom: list[str]
    pos: IntRow
    id: list[str]
    ref: list[str]
    alt: list[str]
    contig: IntRow
    start: IntRow
    ref_allele: list[str]
    alt_allele: list[str]
    moved: BoolRow
    swapped: BoolRow
    rejects: list[Reject]
    lines: list[str] | None = None

    def __len__(self) -> int:
        """Number of rows V."""
        return len(self.chrom)

    @property
    def alleles(self) -> int:
        """Number of ALT alleles of these records: rows and rejects."""
        return len(self) + len(self.rejects)
