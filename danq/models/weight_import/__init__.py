"""Import of published weights and of other torch models as danq model files."""

from danq.models.weight_import.importer import BACKWARD, FORMATS, import_weights
from danq.models.weight_import.weight_file import InputLayout

__all__ = ["BACKWARD", "FORMATS", "InputLayout", "import_weights"]
