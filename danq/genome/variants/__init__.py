"""Variants of VCF, BCF and tables: checked, normalised, and as windows with either allele."""

from __future__ import annotations

from danq.genome.variants.block import REASONS, Reject, VariantBlock
from danq.genome.variants.haplotypes import (
    Haplotypes,
    HaplotypeWindows,
    haplotype_windows,
    read_haplotypes,
)
from danq.genome.variants.read import RefMismatch, VariantReader, from_table, open_variants
from danq.genome.variants.windows import (
    Anchor,
    Windows,
    anchored_windows,
    longest_allele,
    window_center,
)

__all__ = [
    "REASONS",
    "Anchor",
    "HaplotypeWindows",
    "Haplotypes",
    "RefMismatch",
    "Reject",
    "VariantBlock",
    "VariantReader",
    "Windows",
    "anchored_windows",
    "from_table",
    "haplotype_windows",
    "longest_allele",
    "open_variants",
    "read_haplotypes",
    "window_center",
]
