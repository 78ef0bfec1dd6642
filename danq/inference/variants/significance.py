"""q-values of variants over all rows and tracks of a run."""

from __future__ import annotations

import numpy as np

from danq.inference.variants.allele_scores import P, Q
from danq.inference.variants.false_discovery import FalseDiscovery
from danq.inference.writers.layout import Values
from danq.inference.writers.variant_layout import VariantLayout


class Significance:
    """Computes q from the p-values of a run, in two passes over its blocks.

    Until then, the column ``q`` and the summaries of it are undefined.

    Parameters
    ----------
    layout
        Columns of the run.
    """

    def __init__(self, layout: VariantLayout) -> None:
        self.layout = layout
        self._rates = FalseDiscovery()

    def count(self, values: Values) -> None:
        """First pass: count the p-values of some rows, by their ``(V, C)`` values."""
        self._rates.add(self.layout.part(values, P))

    def fill(self, values: Values) -> Values:
        """Second pass: values of the same rows with q, and the smallest q and its track."""
        out = np.array(values)
        p = self.layout.part(out, P)
        q = self._rates.q(p)
        self.layout.part(out, Q)[:] = q
        if len(out):
            smallest = np.where(np.isnan(p), np.inf, p).argmin(axis=1)
            out[:, -2] = q[np.arange(len(q)), smallest]
            out[:, -1] = smallest
        return out
