"""Columns of a table of mutation effects: one row for each substitution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import polars as pl

from danq.genome.nucleotide_codes import LETTERS, decode
from danq.inference.mutagenesis.effects import BaseEffects
from danq.inference.mutagenesis.pair_effects import PairEffects
from danq.inference.writers.layout import Layout, Values

_LETTERS = np.array(list(LETTERS), dtype=object)


class SubstitutionRows(NamedTuple):
    """Sequence names, 1-based positions, and reference and mutant bases as in a VCF."""

    names: list[str]
    pos: np.ndarray
    ref: list[str]
    alt: list[str]


@dataclass(frozen=True, kw_only=True)
class MutationLayout(Layout):
    """Columns of mutation effects.

    Attributes
    ----------
    key
        Name of the first column: ``chrom`` or ``name``. ``pos`` (1-based), ``ref`` and ``alt``
        follow, as in a VCF.
    effect
        Kind of effect, see `danq.inference.mutagenesis.effect_kinds`.
    pairs
        Whether there are substitutions of two bases too.

    Raises
    ------
    InputError
        When two columns would have one name.
    """

    contents: ClassVar[str] = "mutation effects"

    key: str
    effect: str
    pairs: bool = False

    def __post_init__(self) -> None:
        self.check_names()

    @property
    def key_types(self) -> dict[str, type[pl.DataType]]:
        return {self.key: pl.String, "pos": pl.Int64, "ref": pl.String, "alt": pl.String}

    def keys(self, rows: SubstitutionRows | None = None) -> pl.DataFrame:
        columns = rows or SubstitutionRows([], np.empty(0, np.int64), [], [])
        return pl.DataFrame(dict(zip(self.key_types, columns, strict=True)), schema=self.key_types)

    def frame(self, effects: BaseEffects | PairEffects, values: None = None) -> pl.DataFrame:
        """Table of the substitutions in a window; unknown bases have no rows."""
        pairs = isinstance(effects, PairEffects)
        return super().frame(*(_pair_rows(effects) if pairs else _base_rows(effects)))


def _base_rows(effects: BaseEffects) -> tuple[SubstitutionRows, Values]:
    window, codes = effects.window, effects.codes
    position, base = np.nonzero((codes[:, None] != np.arange(4)) & (codes[:, None] < 4))
    rows = SubstitutionRows(
        [window.target.name] * len(position),
        window.first + window.low + position + 1,
        _LETTERS[codes[position]].tolist(),
        _LETTERS[base].tolist(),
    )
    parts = [part[position, base] for part in (effects.mean, effects.spread) if part is not None]
    return rows, np.concatenate(parts, axis=1)


def _pair_rows(effects: PairEffects) -> tuple[SubstitutionRows, Values]:
    """Rows of pairs: REF and ALT run from the first base to the second."""
    window = effects.window
    text = decode(window.codes)
    position = effects.position
    letters = _LETTERS[effects.base].tolist()
    ref = [text[first : second + 1] for first, second in position.tolist()]
    alt = [before + old[1:-1] + after for (before, after), old in zip(letters, ref, strict=True)]
    name = [window.target.name] * len(ref)
    rows = SubstitutionRows(name, window.first + position[:, 0] + 1, ref, alt)
    values = [part for part in effects.values if part is not None]
    return rows, np.concatenate(values, axis=1)
