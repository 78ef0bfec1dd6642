"""Interpretation of models: filters as motifs, mutation plots, classification of variants."""

from danq.interpretation.motifs.filter_sites import FilterSites, filter_sites
from danq.interpretation.motifs.find_motifs import MotifReport, find_motifs
from danq.interpretation.sequence_logo import draw_logo
from danq.interpretation.variant_classification.classify_variants import (
    ClassificationReport,
    classify_variants,
    write_variant_classes,
)

__all__ = [
    "ClassificationReport",
    "FilterSites",
    "MotifReport",
    "classify_variants",
    "draw_logo",
    "filter_sites",
    "find_motifs",
    "write_variant_classes",
]
