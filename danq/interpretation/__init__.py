"""What a model has learned, as pictures and motifs."""

from danq.interpretation.logo import draw_logo

__all__ = ["draw_logo"]
