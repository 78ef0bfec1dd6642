"""Run models on the windows of variants, each distinct window once, and compute the scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from jaxtyping import Float32, Float64, Int

from danq.device import map_in_threads
from danq.genome.nucleotide_codes import reverse_complement
from danq.inference.variants.allele_scores import (
    AGREEMENT,
    LOGIT,
    PRODUCT,
    SIGNED,
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
from danq.typing import CodeBatch

Floating = TypeVar("Floating", bound=np.ndarray)

ROWS = 64
"""Variant alleles per step, few enough that their scores stay in the CPU cache."""


class PairEngine(Protocol):
    """Interface of `danq.inference.engine.incremental.Incremental`."""

    def logits(
        self, reference: CodeBatch, alternates: CodeBatch, reference_of: Int[np.ndarray, "A"]
    ) -> tuple[Float32[np.ndarray, "R K"], Float32[np.ndarray, "A K"]]: ...


class Distinct(NamedTuple):
    """Windows without repeats.

    Attributes
    ----------
    reference
        ``(R, L)``.
    alternate
        ``(A, L)``, grouped by reference.
    owner
        ``(A,)`` row of ``reference`` for each alternate, ascending.
    rows
        ``(N,)`` row of ``alternate`` for each input pair.
    """

    reference: CodeBatch
    alternate: CodeBatch
    owner: Int[np.ndarray, "A"]
    rows: Int[np.ndarray, "N"]


class Logits(NamedTuple):
    """Logits of one strand.

    Attributes
    ----------
    reference
        ``(R, K)``, of the selected tracks, or of all tracks where `Scorer.compares_tracks`.
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


@dataclass(frozen=True)
class Scorer:
    """Computes the values of an output from the windows of variants.

    Attributes
    ----------
    engines
        One per model.
    track_indices
        Indices of the selected tracks.
    both_strands
        Whether the reverse complement is also scored.
    batch_size
        Windows per batch.
    layout
        Columns of the output.
    background
        Background distribution for E-values, quantiles and p.
    """

    engines: Sequence[PairEngine]
    track_indices: tuple[int, ...]
    both_strands: bool
    batch_size: int
    layout: VariantLayout
    background: Background | None = None

    def values(self, reference: CodeBatch, alternates: Sequence[CodeBatch]) -> Values:
        """Values of V variant alleles.

        Rows with identical windows have bit-identical values.

        Parameters
        ----------
        reference
            ``(V, L)`` windows.
        alternates
            ``(V, L)`` windows, once for each anchor; scores are averaged over them.

        Returns
        -------
        Values
            ``(V, C)`` in the columns of `danq.inference.writers.variant_layout.VariantLayout`.
        """
        out = np.empty((len(reference), len(self.layout.columns)), dtype=np.float32)
        if not len(reference):
            return out
        windows = distinct(np.tile(reference, (len(alternates), 1)), np.concatenate(alternates))
        rows_of = windows.rows.reshape(len(alternates), -1)
        models = [list(self._strands(engine, windows)) for engine in self.engines]

        def fill(rows: slice) -> None:
            views = ([one.view(own[rows]) for one in each for own in rows_of] for each in models)
            self._fill(out[rows], [effects(each) for each in views])

        map_in_threads(fill, [slice(row, row + ROWS) for row in range(0, len(out), ROWS)])
        return out

    def _strands(self, engine: PairEngine, windows: Distinct) -> Iterator[Logits]:
        reference, alternate = windows.reference, windows.alternate
        yield self._logits(engine, reference, alternate, windows.owner)
        if self.both_strands:
            flipped = reverse_complement(reference), reverse_complement(alternate)
            yield self._logits(engine, *flipped, windows.owner)

    def _logits(
        self,
        engine: PairEngine,
        reference: CodeBatch,
        alternate: CodeBatch,
        owner: Int[np.ndarray, "A"],
    ) -> Logits:
        done = [
            tuple(
                part if self.compares_tracks else self._selected(part)
                for part in engine.logits(
                    reference[refs], alternate[alts], owner[alts] - refs.start
                )
            )
            for refs, alts in batches(owner, len(reference), self.batch_size)
        ]
        # Usually there is one batch, and concatenating would copy all logits.
        refs, alts = done[0] if len(done) == 1 else map(np.concatenate, zip(*done, strict=True))
        return Logits(refs, alts, owner)

    @property
    def compares_tracks(self) -> bool:
        """Whether a track's values depend on all tracks of the model."""
        return self.background is not None or SPECIFIC in self.layout.scores

    def _selected(self, values: Floating) -> Floating:
        """``(N, K)`` values of the selected tracks; no copy if all are selected."""
        every = self.track_indices == tuple(range(values.shape[1]))
        return values if every else values.take(self.track_indices, axis=1)

    def _fill(self, out: Values, models: Sequence[Effects]) -> None:
        layout, tracks = self.layout, len(self.track_indices)
        own: Float64[np.ndarray, "V K"] | None = None
        if self.compares_tracks:
            own = self._selected(specific(_mean([one.score(PRODUCT) for one in models])))
            models = [Effects(*map(self._selected, one)) for one in models]
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
        for name in layout.scores:
            if name in SIGNED:
                out[:, column], out[:, column + 1] = summarise(layout.part(out, name))
                column += 2
        if self.background is not None:
            product, logit = (
                _mean([one.score(name) for one in models]).astype(np.float32)
                for name in (PRODUCT, LOGIT)
            )
            evalues = self.background.evalues(product)
            layout.part(out, "evalue")[:] = evalues
            layout.part(out, "quantile")[:] = self.background.quantiles(logit)
            # `Significance` computes p from it once all rows are known.
            layout.part(out, P)[:] = own
            layout.part(out, Q)[:] = np.nan
            out[:, column] = np.exp(np.log(evalues).mean(axis=1))
            out[:, column + 1 :] = np.nan


def distinct(reference: CodeBatch, alternate: CodeBatch) -> Distinct:
    """Remove duplicate references, and duplicate alternates of each reference.

    Parameters
    ----------
    reference, alternate
        ``(N, L)`` windows, one pair per row.
    """
    first, owner = _numbered(reference)
    pairs, rows = _numbered(np.concatenate([reference, alternate], axis=1))
    owners = owner[pairs]
    order = np.argsort(owners, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(order.size)
    return Distinct(reference[first], alternate[pairs[order]], owners[order], rank[rows])


def batches(
    owner: Int[np.ndarray, "A"], references: int, size: int
) -> Iterator[tuple[slice, slice]]:
    """References and their alternates in batches of about ``size`` windows.

    A reference stays with all of its alternates.

    Parameters
    ----------
    owner
        ``(A,)`` ascending.
    references
        Number of references, each with at least one alternate.
    size
        Maximum windows per batch, unless a single reference has more alternates.
    """
    ends = np.searchsorted(owner, np.arange(references), side="right") + np.arange(
        1, references + 1
    )
    start = 0
    while start < references:
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + size, side="right")))
        yield slice(start, stop), slice(before - start, int(ends[stop - 1]) - stop)
        start = stop


def _numbered(rows: CodeBatch) -> tuple[Int[np.ndarray, "U"], Int[np.ndarray, "N"]]:
    """Index of each distinct row, in order of appearance, and each row's index among them."""
    seen: dict[bytes, int] = {}
    number = np.fromiter(
        (seen.setdefault(row.tobytes(), len(seen)) for row in rows), np.int64, count=len(rows)
    )
    return np.unique(number, return_index=True)[1], number


def _mean(each: Sequence[Float64[np.ndarray, "V K"]]) -> Float64[np.ndarray, "V K"]:
    return each[0] if len(each) == 1 else np.mean(each, axis=0)


def _agreement(each: Sequence[Float64[np.ndarray, "V K"]]) -> Float64[np.ndarray, "V K"]:
    """Fraction of the models whose effect has the sign of the mean effect."""
    sign = np.sign(_mean(each))
    return np.mean([np.sign(one) == sign for one in each], axis=0)
