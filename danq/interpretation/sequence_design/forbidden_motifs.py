"""Occurrences of forbidden motifs on both strands, and the edits that make or remove them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from danq.errors import InputError
from danq.genome.motif_choice import consensus_bases
from danq.genome.motif_matrix import Motif
from danq.typing import BoolRow, Codes


@dataclass(frozen=True, eq=False)
class ForbiddenMotif:
    """Bases that a motif has at each position.

    Attributes
    ----------
    name
        Name or sequence, as it was given.
    bases
        ``(W, 4)``: whether the motif may have A, C, G, T at a position. It occurs where every base
        of W neighbours is one of them, on either strand.
    """

    name: str
    bases: Bool[np.ndarray, "W 4"]

    @classmethod
    def of(cls, motif: Motif) -> ForbiddenMotif:
        """The consensus of a motif, without N at its ends.

        Raises
        ------
        InputError
            When the consensus is N at every position.
        """
        bases = consensus_bases(motif)
        decisive = np.flatnonzero(~bases.all(axis=1))
        if not decisive.size:
            raise InputError(
                f"the consensus of the motif '{motif.name}' is {motif.consensus}, which every "
                "sequence contains",
                remedy="Forbid a sequence, or a motif with a clearer consensus",
            )
        return cls(motif.name, bases[decisive[0] : decisive[-1] + 1])

    @cached_property
    def strands(self) -> tuple[Bool[np.ndarray, "W 4"], ...]:
        """The motif as the forward strand has it: once if it equals its reverse complement."""
        reverse = self.bases[::-1, ::-1]
        return (self.bases,) if np.array_equal(self.bases, reverse) else (self.bases, reverse)


class Occurrence(NamedTuple):
    """An occurrence of a motif: its first base, 0-based, and its bases as on the forward strand."""

    motif: ForbiddenMotif
    start: int
    bases: Bool[np.ndarray, "W 4"]

    @property
    def end(self) -> int:
        """The base after its last one."""
        return self.start + len(self.bases)

    def decisive(self, free: BoolRow) -> list[int]:
        """Positions, among some, at which another base removes the occurrence; ascending."""
        own = free[self.start : self.end] & ~self.bases.all(axis=1)
        return (self.start + np.flatnonzero(own)).tolist()


def occurrences(codes: Codes, motifs: Sequence[ForbiddenMotif]) -> list[Occurrence]:
    """All occurrences of motifs in a sequence without N."""
    found = []
    for motif in motifs:
        for bases in motif.strands:
            hits = np.flatnonzero(_agrees(codes, bases).all(axis=1))
            found += [Occurrence(motif, start, bases) for start in hits.tolist()]
    return found


def completing(codes: Codes, motifs: Sequence[ForbiddenMotif]) -> Bool[np.ndarray, "L 4"]:
    """Whether a motif covers a position if that position has the base A, C, G or T."""
    out = np.zeros((len(codes), 4), dtype=bool)
    for motif in motifs:
        for bases in motif.strands:
            agrees = _agrees(codes, bases)
            missing = (~agrees).sum(axis=1)
            for column, letters in enumerate(bases):
                others = missing - ~agrees[:, column] == 0
                out[column : column + len(others)] |= others[:, None] & letters
    return out


def edits_to_remove(found: Sequence[Occurrence], free: BoolRow) -> int | None:
    """Number of substitutions that remove some occurrences; None if it is impossible.

    An edit at the last position of an occurrence that can remove it also removes later ones that
    overlap there. Edits may make new occurrences, which are not considered.

    Parameters
    ----------
    found
        Occurrences.
    free
        ``(L,)``: positions that may change.
    """
    each = [occurrence.decisive(free) for occurrence in found]
    if not all(each):
        return None
    edited: set[int] = set()
    for positions in sorted(each, key=lambda one: one[-1]):
        if edited.isdisjoint(positions):
            edited.add(positions[-1])
    return len(edited)


def _agrees(codes: Codes, bases: Bool[np.ndarray, "W 4"]) -> Bool[np.ndarray, "P W"]:
    """Whether each base of each interval of W bases is one of the motif's."""
    width = len(bases)
    if width > len(codes):
        return np.zeros((0, width), dtype=bool)
    windows = np.lib.stride_tricks.sliding_window_view(codes, width)
    return bases[np.arange(width), windows]
