"""Predictions as rows of a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int64

Row = dict[str, Any]
"""Columns of a row of predictions: numbers, text, or numbers by name."""


class Truth(NamedTuple):
    """True and predicted classes.

    Attributes
    ----------
    classes
        Names of the classes.
    true, predicted
        Indices of the true and of the predicted class of each example or step.
    """

    classes: Sequence[str]
    true: Int64[np.ndarray, " N"]
    predicted: Int64[np.ndarray, " N"]

    def confusion(self) -> Int64[np.ndarray, "K K"]:
        """Number of examples of each true class (row) and predicted class (column)."""
        counts = np.zeros((len(self.classes), len(self.classes)), np.int64)
        np.add.at(counts, (self.true, self.predicted), 1)
        return counts
