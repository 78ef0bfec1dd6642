"""Models that other programs trained: their weights as a danq model file."""

from danq.models.weights.importing import BACKWARD, FORMATS, import_weights

__all__ = ["BACKWARD", "FORMATS", "import_weights"]
