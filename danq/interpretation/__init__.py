"""Interpretation of models: effects of motifs, filters as motifs, classification of variants."""

from danq.interpretation.marginalization.backgrounds import Backgrounds
from danq.interpretation.marginalization.marginalize import Marginalization, marginalize
from danq.interpretation.marginalization.write_marginalization import (
    check_marginalization_folder,
    write_marginalization,
)
from danq.interpretation.motifs.filter_sites import FilterSites, find_filter_sites
from danq.interpretation.motifs.find_motifs import MotifReport, find_motifs
from danq.interpretation.motifs.write_motifs import check_motif_folder, write_motifs
from danq.interpretation.variant_classification.classify_variants import (
    ClassificationReport,
    classify_variants,
    write_variant_classes,
)

__all__ = [
    "Backgrounds",
    "ClassificationReport",
    "FilterSites",
    "Marginalization",
    "MotifReport",
    "check_marginalization_folder",
    "check_motif_folder",
    "classify_variants",
    "find_filter_sites",
    "find_motifs",
    "marginalize",
    "write_marginalization",
    "write_motifs",
    "write_variant_classes",
]
