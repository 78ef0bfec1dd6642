"""Interpretation: attributions, effects of motifs, filters, design, classification of variants."""

from danq.interpretation.attribution.attribute import attribute, write_attributions
from danq.interpretation.attribution.attribute_and_plot import write_attributions_and_plot
from danq.interpretation.attribution.attributions import Attributions
from danq.interpretation.attribution.dataset_split import DatasetSplit
from danq.interpretation.attribution.methods import Integration
from danq.interpretation.attribution.read_attributions import read_attributions
from danq.interpretation.attribution.written_attributions import WrittenAttributions
from danq.interpretation.attribution_motifs.find_attribution_motifs import (
    AttributionMotifReport,
    find_attribution_motifs,
)
from danq.interpretation.attribution_motifs.write_attribution_motifs import (
    check_attribution_motif_folder,
    write_attribution_motifs,
)
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
    "AttributionMotifReport",
    "Attributions",
    "Backgrounds",
    "ClassificationReport",
    "DatasetSplit",
    "DesignConstraints",
    "DesignGoals",
    "Designs",
    "FilterSites",
    "Integration",
    "Marginalization",
    "MotifReport",
    "RandomStarts",
    "WrittenAttributions",
    "attribute",
    "check_attribution_motif_folder",
    "check_design_folder",
    "check_marginalization_folder",
    "check_motif_folder",
    "classify_variants",
    "design",
    "find_attribution_motifs",
    "find_filter_sites",
    "find_motifs",
    "marginalize",
    "read_attributions",
    "write_attribution_motifs",
    "write_attributions",
    "write_attributions_and_plot",
    "write_designs",
    "write_marginalization",
    "write_motifs",
    "write_variant_classes",
]
