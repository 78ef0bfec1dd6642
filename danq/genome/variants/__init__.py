"""Variants of VCF, BCF and tables: checked, normalised, and as windows with either allele."""

from __future__ import annotations

from danq.genome.variants.block import REASONS, Reject, VariantBlock
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
    "RefMismatch",
    "Reject",
    "VariantBlock",
    "VariantReader",
    "Windows",
    "anchored_windows",
    "from_table",
    "longest_allele",
    "open_variants",
    "window_center",
]
