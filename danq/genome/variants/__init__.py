"""Read variants of VCF, BCF and tables, check and normalise them, and cut their windows."""

from __future__ import annotations

from danq.genome.variants.allele_windows import (
    Anchor,
    Windows,
    anchored_windows,
    longest_allele,
    window_center,
)
from danq.genome.variants.haplotypes import (
    Haplotypes,
    HaplotypeWindows,
    haplotype_windows,
    read_haplotypes,
)
from danq.genome.variants.open_variants import from_table, open_variants
from danq.genome.variants.reject_reasons import REASONS, Reject
from danq.genome.variants.variant_block import VariantBlock
from danq.genome.variants.variant_reader import Blocks, RefMismatch, VariantReader

__all__ = [
    "REASONS",
    "Anchor",
    "Blocks",
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
