"""Which bases the effect of a mutation depends on: dependency maps of a sequence.

The interaction of two substitutions is the effect of both minus the sum of the effects of each
alone. The dependency of two positions is the largest absolute interaction over their nine pairs of
substitutions. The nucleotide dependency maps of da Silva et al. 2024 (bioRxiv 2024.07.27.605418)
show the same maximum, of changes in the odds that a language model gives to a base.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from jaxtyping import Float32

from danq.errors import InputError
from danq.genome.nucleotide_codes import N, decode
from danq.inference.mutagenesis.effects import BaseEffects, EffectScorer
from danq.inference.mutagenesis.pair_effects import PairEffects, pair_effects
from danq.notebook_display import Display, FirstRows, display_html, display_text
from danq.progress import Stage
from danq.typing import Codes

MAX_VALUES = 1 << 28
"""Largest number of values of a map: 1 GB."""


@dataclass(frozen=True, eq=False)
class DependencyMap:
    """Which bases of a sequence the effect of a mutation depends on.

    Attributes
    ----------
    values
        ``(n, n, K)``, symmetric: for each track, the largest absolute interaction of two positions
        over their nine pairs of substitutions, in the unit of the effect (bits for ``"logit"``);
        0 on the diagonal, NaN where a base is N. For several models, of their mean effects.
    effects
        ``(n, 4, K)`` effects of single substitutions, as of `danq.mutate`.
    codes
        ``(n,)`` bases of the interval.
    tracks
        Names of the K tracks.
    name
        Contig or record.
    start
        0-based position of the first base.
    provenance
        Text fields: models, inputs and settings.
    """

    values: Float32[np.ndarray, "n n K"]
    effects: Float32[np.ndarray, "n 4 K"]
    codes: Codes
    tracks: tuple[str, ...]
    name: str
    start: int
    provenance: Mapping[str, str] = field(default_factory=dict, repr=False)

    __repr__ = display_text
    _repr_html_ = display_html

    def _display(self) -> Display:
        size = len(self.codes)
        return Display(
            f"{self.name}:{self.start + 1:,}-{self.start + size:,}, dependencies of "
            f"{size * (size - 1) // 2:,} pairs of positions, {len(self.tracks):,} "
            f"track{'s' * (len(self.tracks) != 1)}",
            facts=self.provenance,
            facts_title="Provenance",
            tables=[FirstRows.of("Largest dependencies", self.to_polars(largest=5))],
            plots=["danq.plots.plot_dependencies"],
        )

    def to_polars(self, largest: int | None = None) -> pl.DataFrame:
        """Table with one row per track and pair of positions, the largest dependency first.

        Parameters
        ----------
        largest
            Number of rows per track; None for all pairs of known bases.

        Returns
        -------
        pl.DataFrame
            ``track``, ``pos1``, ``base1``, ``pos2``, ``base2`` (1-based positions and reference
            bases) and ``dependency``.
        """
        text = np.array(list(decode(self.codes)))
        first, second = np.triu_indices(len(self.codes), 1)
        tables = []
        for track, name in enumerate(self.tracks):
            values = self.values[first, second, track]
            order = np.argsort(-values, kind="stable")
            order = order[~np.isnan(values[order])][:largest]
            i, j = first[order], second[order]
            columns = {
                "track": [name] * len(order),
                "pos1": self.start + 1 + i,
                "base1": text[i],
                "pos2": self.start + 1 + j,
                "base2": text[j],
                "dependency": values[order],
            }
            tables.append(pl.DataFrame(columns))
        return pl.concat(tables)


class Dependencies:
    """Collects the interactions of the pairs of an interval.

    Parameters
    ----------
    effects
        Effects of single substitutions in the window.
    start, end
        Interval on the contig or record, 0-based, half-open.
    """

    def __init__(self, effects: BaseEffects, start: int, end: int) -> None:
        window = effects.window
        self._first = start - window.first
        self._name, self._start = window.target.name, start
        own = slice(self._first - window.low, end - window.first - window.low)
        self._effects, self._codes = effects.mean[own], effects.codes[own]
        size, tracks = len(self._codes), self._effects.shape[2]
        self._values = np.zeros((size, size, tracks), np.float32)

    def add(self, pairs: PairEffects) -> None:
        """Add a batch of `danq.inference.mutagenesis.pair_effects.pair_effects`."""
        # The three changes of a second base follow each other.
        largest = np.abs(pairs.interaction).reshape(-1, 3, self._values.shape[2]).max(axis=1)
        first, second = (pairs.position[::3] - self._first).T
        for base in range(4):
            own = pairs.base[::3, 0] == base
            rows = first[own], second[own]
            self._values[rows] = np.maximum(self._values[rows], largest[own])

    def map(self, tracks: Sequence[str], provenance: Mapping[str, str]) -> DependencyMap:
        """The map, after the last batch."""
        for row in range(len(self._codes)):
            self._values[row + 1 :, row] = self._values[row, row + 1 :]
        unknown = self._codes == N
        self._values[unknown] = np.nan
        self._values[:, unknown] = np.nan
        return DependencyMap(
            self._values,
            self._effects,
            self._codes,
            tuple(tracks),
            self._name,
            self._start,
            provenance,
        )


def score_pairs(
    scorer: EffectScorer,
    effects: BaseEffects,
    interval: tuple[int, int],
    each: Callable[[PairEffects], None],
    now: Stage,
) -> int:
    """Score all pairs of an interval of a window, batch after batch; return their number.

    Parameters
    ----------
    scorer
        Models.
    effects
        Effects of single substitutions in the window.
    interval
        Start and end on the contig or record, 0-based, half-open.
    each
        Called with each batch.
    now
        Stage that counts the pairs.
    """
    window, pairs = effects.window, 0
    low, high = (position - window.first for position in interval)
    for part in pair_effects(scorer, window, low, high):
        each(part)
        pairs += len(part.position)
        now.add(len(part.position))
    return pairs


def check_map_size(bases: int, tracks: int) -> None:
    """Check that a map fits in memory.

    Raises
    ------
    InputError
        When it has more than `MAX_VALUES` values.
    """
    if bases**2 * tracks > MAX_VALUES:
        raise InputError(
            f"the dependency map of {bases:,} bases and {tracks:,} tracks has "
            f"{bases**2 * tracks:,} values; the maximum is {MAX_VALUES:,}",
            remedy="Select tracks, or a shorter interval",
        )
