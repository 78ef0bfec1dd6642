"""The columns of an output from the predictions for variants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float32, Float64, Int

from danq.device import map_in_threads
from danq.inference.track_levels import TrackLevels
from danq.inference.variants.allele_scores import (
    AGREEMENT,
    EVALUE,
    LOGIT,
    PRODUCT,
    QUANTILE,
    SPECIFIC,
    Effects,
    P,
    Q,
    View,
    effects,
    specific,
    summarise,
)
from danq.inference.variants.background import Background
from danq.inference.writers.layout import Values
from danq.inference.writers.variant_layout import VariantLayout

Floating = TypeVar("Floating", bound=np.ndarray)

ROWS = 64
"""Variant alleles per step, few enough that their scores stay in the CPU cache."""


class Logits(NamedTuple):
    """Logits of peaks and amounts of one strand (`danq.models.targets.track_scores`).

    Attributes
    ----------
    reference
        ``(R, K)``, of the selected tracks, or of all where `ScoreColumns.compares_tracks`.
    alternate
        ``(A, K)``.
    owner
        ``(A,)`` row of ``reference`` for each alternate.
    """

    reference: Float32[np.ndarray, "R K"]
    alternate: Float32[np.ndarray, "A K"]
    owner: Int[np.ndarray, "A"]

    def view(self, rows: Int[np.ndarray, "V"]) -> View:
        """Some alternates, each with its reference."""
        return View(self.reference[self.owner[rows]], self.alternate[rows])


class ScoreColumns(NamedTuple):
    """Computes the values of an output from logits and amounts.

    Attributes
    ----------
    track_indices
        Indices of the selected tracks.
    layout
        Columns of the output.
    background
        Background distribution for E-values, quantiles and p.
    levels
        Computes levels of all tracks of the model; None if they are all of peaks.
    """

    track_indices: tuple[int, ...]
    layout: VariantLayout
    background: Background | None = None
    levels: TrackLevels | None = None

    @property
    def compares_tracks(self) -> bool:
        """Whether a track's values depend on all tracks of the model."""
        return self.background is not None or SPECIFIC in self.layout.scores

    def selected(self, values: Floating) -> Floating:
        """``(N, K)`` values of the selected tracks; no copy if all are selected."""
        every = self.track_indices == tuple(range(values.shape[1]))
        return values if every else values.take(self.track_indices, axis=1)  # pyright: ignore[reportReturnType]

    def values(
        self, models: Sequence[Sequence[Logits]], rows_of: Int[np.ndarray, "anchors V"]
    ) -> Values:
        """Values of V variant alleles.

        Parameters
        ----------
        models
            Logits of each model, of one strand or both.
        rows_of
            Row among the alternates of each variant's windows, for each anchor.

        Returns
        -------
        Values
            ``(V, C)`` in the columns of the layout.
        """
        out = self.empty(rows_of.shape[1])
        levels = self.levels or TrackLevels.of_peaks(models[0][0].reference.shape[1])
        if not self.compares_tracks and self.levels is not None:
            levels = levels.select(self.track_indices)

        def fill(rows: slice) -> None:
            views = ([one.view(own[rows]) for one in each for own in rows_of] for each in models)
            self._fill(out[rows], [effects(each, levels) for each in views])

        map_in_threads(fill, [slice(row, row + ROWS) for row in range(0, len(out), ROWS)])
        return out

    def empty(self, rows: int) -> Values:
        """Space for the values of some rows."""
        return np.empty((rows, len(self.layout.columns)), dtype=np.float32)

    def _fill(self, out: Values, models: Sequence[Effects]) -> None:
        layout, tracks = self.layout, len(self.track_indices)
        own: Float64[np.ndarray, "V K"] | None = None
        if self.compares_tracks:
            product = _mean([one.score(PRODUCT) for one in models])
            own = self.selected(specific(product, self.levels and self.levels.comparable))
            models = [Effects(*map(self.selected, one)) for one in models]
        for name in layout.scores:
            if name == SPECIFIC:
                layout.part(out, name)[:] = own
                continue
            each = [one.score(name) for one in models]
            layout.part(out, name)[:] = _mean(each)
            if layout.spread:
                layout.part(out, f"{name}_sd")[:] = np.std(each, axis=0, ddof=1)
        if layout.spread:
            layout.part(out, AGREEMENT)[:] = _agreement([one.logit for one in models])
        column = tracks * len(layout.per_track)
        for one in layout.summarised:
            part = layout.part(out, one.score)
            if len(one.tracks) < tracks:
                part = part[:, one.tracks]
            out[:, column], out[:, column + 1] = summarise(part)
            column += 2
        if self.background is not None:
            product, logit = (
                _mean([one.score(name) for one in models]).astype(np.float32)
                for name in (PRODUCT, LOGIT)
            )
            evalues = self.background.evalues(product)
            layout.part(out, EVALUE)[:] = evalues
            layout.part(out, QUANTILE)[:] = self.background.quantiles(logit)
            # p is computed from it, and from the stratum of each row; q once all rows are known.
            layout.part(out, P)[:] = own
            layout.part(out, Q)[:] = np.nan
            out[:, column] = np.exp(np.log(evalues).mean(axis=1))
            out[:, column + 1 :] = np.nan


def _mean(each: Sequence[Float64[np.ndarray, "V K"]]) -> Float64[np.ndarray, "V K"]:
    return each[0] if len(each) == 1 else np.mean(each, axis=0)


def _agreement(each: Sequence[Float64[np.ndarray, "V K"]]) -> Float64[np.ndarray, "V K"]:
    """Fraction of the models whose effect has the sign of the mean effect."""
    sign = np.sign(_mean(each))
    return np.mean([np.sign(one) == sign for one in each], axis=0)
