"""Columns of a table of attributions: one row for each base."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Float32, Float64

from danq.genome.nucleotide_codes import LETTERS, N
from danq.inference.mutagenesis.targets import TargetWindow
from danq.inference.writers.layout import Layout
from danq.typing import Codes

_LETTERS = np.array(list(LETTERS), dtype=object)


class Completeness(NamedTuple):
    """How well the contributions of a window add up, per track.

    Attributes
    ----------
    error
        ``(K,)`` sum of the contributions of all bases, minus ``difference``.
    difference
        ``(K,)`` output for the window minus the mean output for its baselines.
    """

    error: Float64[np.ndarray, "K"]
    difference: Float64[np.ndarray, "K"]


@dataclass(frozen=True)
class WindowAttributions:
    """Attributions of the bases of one window that are explained in it.

    Attributes
    ----------
    window
        The window, with the ``l`` bases of it that are explained.
    hypothetical
        ``(l, 4, K)`` contribution that A, C, G and T would have at each base; NaN for a base N.
    completeness
        Of integrated gradients; None for other methods.
    """

    window: TargetWindow
    hypothetical: Float32[np.ndarray, "l 4 K"]
    completeness: Completeness | None = None

    @property
    def codes(self) -> Codes:
        """``(l,)`` codes of the bases."""
        return self.window.codes[self.window.low : self.window.high]

    @property
    def positions(self) -> np.ndarray:
        """``(l,)`` 0-based positions of the bases on their contig or record."""
        return self.window.first + np.arange(self.window.low, self.window.high)

    @property
    def attributions(self) -> Float32[np.ndarray, "l K"]:
        """Contribution of each base that is there; NaN for a base N."""
        return contributions(self.hypothetical, self.codes)


def contributions(
    hypothetical: Float32[np.ndarray, "N 4 K"], codes: Codes
) -> Float32[np.ndarray, "N K"]:
    """Contributions of the bases that are there; NaN for a base N."""
    # N selects the last base, whose contribution is NaN, too.
    return hypothetical[np.arange(len(codes)), np.minimum(codes, 3)]


@dataclass(frozen=True, kw_only=True)
class AttributionLayout(Layout):
    """Columns of attributions.

    Attributes
    ----------
    key
        Name of the first column: ``chrom`` or ``name``. ``pos`` (1-based) and ``base`` follow.
    method, baseline
        How the attributions were computed; the baseline is empty for methods without one.
    contigs
        Lengths of the genome's contigs by name; None for standalone records.
    intervals
        Name, start and end of each sequence.

    Raises
    ------
    InputError
        When two columns would have one name.
    """

    contents: ClassVar[str] = "attributions"

    key: str
    method: str
    baseline: str = ""
    contigs: Mapping[str, int] | None = None
    intervals: tuple[tuple[str, int, int], ...] = ()

    def __post_init__(self) -> None:
        self.check_names()

    @property
    def key_types(self) -> dict[str, type[pl.DataType]]:
        return {self.key: pl.String, "pos": pl.Int64, "base": pl.String}

    def keys(self, rows: tuple[str, np.ndarray, np.ndarray] | None = None) -> pl.DataFrame:
        name, pos, codes = rows or ("", np.empty(0, np.int64), np.empty(0, np.uint8))
        columns = ([name] * len(pos), pos, _LETTERS[codes].tolist())
        return pl.DataFrame(dict(zip(self.key_types, columns, strict=True)), schema=self.key_types)

    def frame(self, block: WindowAttributions, values: None = None) -> pl.DataFrame:
        """Table of the bases of a window; unknown bases have no rows."""
        codes = block.codes
        known = np.flatnonzero(codes != N)
        rows = (block.window.target.name, block.positions[known] + 1, codes[known])
        return super().frame(rows, block.attributions[known])
