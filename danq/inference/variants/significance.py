"""Empirical p-values of variants, and their q-values over all rows and tracks of a run."""

from __future__ import annotations

import numpy as np

from danq.inference.variants.allele_scores import P, Q
from danq.inference.variants.background import Background
from danq.inference.variants.false_discovery import FalseDiscovery
from danq.inference.writers.layout import Values
from danq.inference.writers.variant_layout import VariantLayout
from danq.typing import IntRow


class Significance:
    """Computes p and q of the rows of a run, in two passes over its blocks.

    Until then, the column ``p`` holds the score that p compares
    (`danq.inference.variants.allele_scores.specific`), and ``q`` and the summaries
    of both are undefined.

    Parameters
    ----------
    layout
        Columns of the run.
    background
        Scores of background variants.
    """

    def __init__(self, layout: VariantLayout, background: Background) -> None:
        self.layout, self.background = layout, background
        self._rates = FalseDiscovery()

    def count(self, values: Values, stratum: IntRow) -> None:
        """First pass: count the p-values of some rows.

        Parameters
        ----------
        values
            ``(V, C)`` values of the rows.
        stratum
            ``(V,)`` number of each row's stratum.
        """
        self._rates.add(self._p(values, stratum))

    def fill(self, values: Values, stratum: IntRow) -> Values:
        """Second pass: values of the same rows with p, q, and the smallest q and its track."""
        out = np.array(values)
        p = self._p(values, stratum)
        q = self._rates.q(p)
        self.layout.part(out, P)[:] = p
        self.layout.part(out, Q)[:] = q
        if len(out):
            smallest = np.where(np.isnan(p), np.inf, p).argmin(axis=1)
            out[:, -2] = q[np.arange(len(q)), smallest]
            out[:, -1] = smallest
        return out

    def _p(self, values: Values, stratum: IntRow) -> Values:
        return self.background.p(self.layout.part(values, P), stratum)
