"""Type aliases, and the letters that stand for array dimensions.

Each letter has one meaning in every signature of the package:

====  ==================================================
B     batch: windows, sequences or images processed together
L     bases of a window
T     time steps of a temporal layer
F     features of one step
K     tracks (or classes)
====  ==================================================

The array aliases are jaxtyping annotations of numpy arrays: importing them loads no tensor
library. Signatures with tensors write the dimensions out: ``Float[Tensor, "B T F"]``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64, UInt8

Location: TypeAlias = str | Path
"""The path of a file or folder."""

Codes: TypeAlias = UInt8[np.ndarray, "..."]
"""DNA as uint8 codes of any shape: A 0, C 1, G 2, T 3, anything else 4."""

CodeBatch: TypeAlias = UInt8[np.ndarray, "B L"]
"""Windows of DNA as uint8 codes."""

LabelBatch: TypeAlias = UInt8[np.ndarray, "B K"]
"""Labels, 0 or 1, of windows for tracks."""

Scores: TypeAlias = Float32[np.ndarray, "B K"]
"""Scores or probabilities of windows for tracks."""

PerTrack: TypeAlias = Float64[np.ndarray, "K"]
"""One value per track."""

Matrix: TypeAlias = Float64[np.ndarray, "W 4"]
"""One row per motif position, columns A, C, G, T; W is the motif's width."""

IntRow: TypeAlias = Int64[np.ndarray, "..."]
"""One-dimensional int64 array, such as positions, lengths or contig indices."""

BoolRow: TypeAlias = Bool[np.ndarray, "..."]
"""One-dimensional array of flags."""

__all__ = [
    "BoolRow",
    "CodeBatch",
    "Codes",
    "IntRow",
    "LabelBatch",
    "Location",
    "Matrix",
    "PerTrack",
    "Scores",
]
