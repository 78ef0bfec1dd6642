"""Interpretation: effects and filters as motifs, design, classification of variants."""

from danq.interpretation.marginalization.backgrounds import Backgrounds
from danq.interpretation.marginalization.marginalize import Marginalization, marginalize
from danq.interpretation.marginalization.write_marginalization import (
    check_marginalization_folder,
    write_marginalization,
)
from danq.interpretation.motifs.filter_sites import FilterSites, find_filter_sites
from danq.interpretation.motifs.find_motifs import MotifReport, find_motifs
from danq.interpretation.motifs.write_motifs import check_motif_folder, write_motifs
from danq.interpretation.sequence_design.constraints import DesignConstraints
from danq.interpretation.sequence_design.design_sequences import Designs, design
from danq.interpretation.sequence_design.goals import DesignGoals
from danq.interpretation.sequence_design.starts import RandomStarts
from danq.interpretation.sequence_design.write_designs import check_design_folder, write_designs
from danq.interpretation.variant_classification.classify_variants import (
    ClassificationReport,
    classify_variants,
    write_variant_classes,
)

__all__ = [
    "Backgrounds",
    "ClassificationReport",
    "DesignConstraints",
    "DesignGoals",
    "Designs",
    "FilterSites",
    "Marginalization",
    "MotifReport",
    "RandomStarts",
    "check_design_folder",
    "check_marginalization_folder",
    "check_motif_folder",
    "classify_variants",
    "design",
    "find_filter_sites",
    "find_motifs",
    "marginalize",
    "write_designs",
    "write_marginalization",
    "write_motifs",
    "write_variant_classes",
]
