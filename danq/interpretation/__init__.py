"""What a model has learned, as pictures and motifs."""

from danq.interpretation.logo import draw_logo
from danq.interpretation.motifs.filters import FilterSites, filter_sites
from danq.interpretation.motifs.find_motifs import MotifReport, find_motifs

__all__ = ["FilterSites", "MotifReport", "draw_logo", "filter_sites", "find_motifs"]
