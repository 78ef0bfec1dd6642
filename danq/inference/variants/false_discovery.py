"""False discovery rates of all p-values of a run, without all of them in memory."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int


class FalseDiscovery:
    """Benjamini and Hochberg's q-values.

    The q-value of a p-value is the smallest false discovery rate at which it is still selected:
    the minimum of ``N p' / (number of p-values up to p')`` over all ``p'`` that are no smaller,
    where N is the number of all p-values. Empirical p-values have few distinct values, so their
    counts suffice, and the result is exact.

    Benjamini and Hochberg 1995, J. R. Stat. Soc. B 57, 289.
    """

    def __init__(self) -> None:
        self._distinct = np.zeros(0, np.float32)
        self._counts = np.zeros(0, np.int64)

    def add(self, p: Float32[np.ndarray, "..."]) -> None:
        """Count p-values; NaN are not counted."""
        new, counts = np.unique(p[~np.isnan(p)], return_counts=True)
        distinct, index = np.unique(np.concatenate([self._distinct, new]), return_inverse=True)
        merged = np.zeros(len(distinct), np.int64)
        np.add.at(merged, index, np.concatenate([self._counts, counts]))
        self._distinct, self._counts = distinct, merged

    @property
    def counts(self) -> tuple[Float32[np.ndarray, "D"], Int[np.ndarray, "D"]]:
        """Distinct p-values, ascending, and how often each was added."""
        return self._distinct, self._counts

    def q(self, p: Float32[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
        """q-values of p-values that were added; NaN stays NaN."""
        if not len(self._distinct):
            return np.full(p.shape, np.nan, np.float32)
        total = np.cumsum(self._counts)
        ratio = self._distinct.astype(np.float64) * total[-1] / total
        q = np.minimum(np.minimum.accumulate(ratio[::-1])[::-1], 1).astype(np.float32)
        at = np.minimum(np.searchsorted(self._distinct, p), len(q) - 1)
        return np.where(np.isnan(p), p, q[at])
