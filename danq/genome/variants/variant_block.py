"""Variants in arrays: what was read, where it lies on the genome, and what was rejected."""

from __future__ import annotations

from dataclasses import dataclass

from danq.genome.variants.reject_reasons import Reject
from danq.typing import BoolRow, IntRow


@dataclass(frozen=True, eq=False)
class VariantBlock:
    """Consecutive records as V variant-alleles, one a row, in the order of the input.

    A record with several ALT gives a row each, in their order. Every variant-allele is a
    row or a reject, and a record without ALT counts as one.

    Attributes
    ----------
    first, records
        1-based number of the first record read, and how many were read.
    record, allele
        ``(V,)`` number of the record in the input and of the ALT in the record, both 1-based.
    chrom, pos, id, ref, alt
        V each, as in the input, ``pos`` 1-based; ``ref`` and ``alt`` exchanged where
        ``swapped``.
    contig, start
        ``(V,)`` number of the contig in the genome, and 0-based position of the first base
        of ``ref_allele``.
    ref_allele, alt_allele
        Normalised as ``bcftools norm`` does it, but for the base that VCF puts before an
        indel: no base in common at either end, as far to the left as it goes, in capitals.
        One of them is empty for a pure insertion or deletion.
    moved
        ``(V,)`` whether left-alignment moved the variant.
    swapped
        ``(V,)`` whether the genome has ALT, so that ALT was taken for REF.
    rejects
        Those of these records, in the order of the input.
    lines
        One a record, the record as text without its line end; None unless asked for.
    """

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
        """Rows V."""
        return len(self.chrom)

    @property
    def alleles(self) -> int:
        """Variant-alleles of these records: rows and rejects."""
        return len(self) + len(self.rejects)
