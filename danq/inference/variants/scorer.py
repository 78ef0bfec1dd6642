"""Run models on the windows of variants, each distinct window once, and compute the scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

import numpy as np
from jaxtyping import Float32, Int

from danq.genome.nucleotide_codes import reverse_complement
from danq.inference.track_levels import TrackLevels
from danq.inference.variants.background import Background
from danq.inference.variants.score_columns import Logits, ScoreColumns
from danq.inference.variants.variant_input import AlleleWindows
from danq.inference.writers.layout import Values
from danq.inference.writers.variant_layout import VariantLayout
from danq.typing import CodeBatch


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
    levels
        Computes levels of all tracks of the model; None if they are all of peaks.
    reverse_tracks
        As `danq.models.targets.reverse_tracks`.
    """

    engines: Sequence[PairEngine]
    track_indices: tuple[int, ...]
    both_strands: bool
    batch_size: int
    layout: VariantLayout
    background: Background | None = None
    levels: TrackLevels | None = None
    reverse_tracks: tuple[int, ...] = ()
    in_flight: ClassVar[int] = 0

    @property
    def columns(self) -> ScoreColumns:
        """Computes the values from logits."""
        return ScoreColumns(self.track_indices, self.layout, self.background, self.levels)

    def start(self, windows: AlleleWindows) -> Callable[[], Values]:
        """Begin to score a block; the result waits for its values."""
        return lambda: self.values(windows.reference, windows.alternates)

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
        if not len(reference):
            return self.columns.empty(0)
        windows = distinct(np.tile(reference, (len(alternates), 1)), np.concatenate(alternates))
        rows_of = windows.rows.reshape(len(alternates), -1)
        models = [list(self._strands(engine, windows)) for engine in self.engines]
        return self.columns.values(models, rows_of)

    def _strands(self, engine: PairEngine, windows: Distinct) -> Iterator[Logits]:
        reference, alternate = windows.reference, windows.alternate
        yield self._logits(engine, reference, alternate, windows.owner, ())
        if self.both_strands:
            flipped = reverse_complement(reference), reverse_complement(alternate)
            yield self._logits(engine, *flipped, windows.owner, self.reverse_tracks)

    def _logits(
        self,
        engine: PairEngine,
        reference: CodeBatch,
        alternate: CodeBatch,
        owner: Int[np.ndarray, "A"],
        order: Sequence[int],
    ) -> Logits:
        columns = self.columns
        done = [
            tuple(
                part if columns.compares_tracks else columns.selected(part)
                for part in _ordered(
                    engine.logits(reference[refs], alternate[alts], owner[alts] - refs.start), order
                )
            )
            for refs, alts in batches(owner, len(reference), self.batch_size)
        ]
        # Usually there is one batch, and concatenating would copy all logits.
        refs, alts = done[0] if len(done) == 1 else map(np.concatenate, zip(*done, strict=True))
        return Logits(refs, alts, owner)


def _ordered(parts: Sequence[np.ndarray], order: Sequence[int]) -> Sequence[np.ndarray]:
    """Columns of both parts in another order, if one is given."""
    return [part[:, list(order)] for part in parts] if order else parts


def distinct(reference: CodeBatch, alternate: CodeBatch) -> Distinct:
    """Remove duplicate references, and duplicate alternates of each reference.

    Parameters
    ----------
    reference, alternate
        ``(N, L)`` windows, one pair per row.
    """
    first, pairs, owner, rows = group_pairs(reference, alternate)
    return Distinct(reference[first], alternate[pairs], owner, rows)


def group_pairs(
    reference: CodeBatch, alternate: CodeBatch
) -> tuple[Int[np.ndarray, "R"], Int[np.ndarray, "A"], Int[np.ndarray, "A"], Int[np.ndarray, "N"]]:
    """Find distinct references, and distinct alternates of each reference.

    Parameters
    ----------
    reference, alternate
        ``(N, L)`` windows or their keys, one pair per row.

    Returns
    -------
    first, pairs
        Rows of the distinct references, and of the distinct pairs, grouped by reference.
    owner, rows
        As in `Distinct`.
    """
    first, owner = _numbered(reference)
    pairs, rows = _numbered(np.concatenate([reference, alternate], axis=1))
    owners = owner[pairs]
    order = np.argsort(owners, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(order.size)
    return first, pairs[order], owners[order], rank[rows]


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
