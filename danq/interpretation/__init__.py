"""Interpretation of models: filters as motifs, classification of variants."""

from danq.interpretation.motifs.filter_sites import FilterSites, find_filter_sites
from danq.interpretation.motifs.find_motifs import MotifReport, find_motifs
from danq.interpretation.motifs.write_motifs import check_motif_folder, write_motifs
from danq.interpretation.variant_classification.classify_variants import (
    ClassificationReport,
    classify_variants,
    write_variant_classes,
)

__all__ = [
    "ClassificationReport",
    "FilterSites",
    "MotifReport",
    "check_motif_folder",
    "classify_variants",
    "find_filter_sites",
    "find_motifs",
    "write_motifs",
    "write_variant_classes",
]
