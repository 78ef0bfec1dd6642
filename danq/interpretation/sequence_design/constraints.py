"""Constraints of a design: which substitutions of a sequence are allowed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from danq.errors import InputError
from danq.genome.motif_choice import choose_motifs
from danq.genome.nucleotide_codes import N
from danq.interpretation.sequence_design.forbidden_motifs import (
    ForbiddenMotif,
    completing,
    edits_to_remove,
    occurrences,
)
from danq.typing import BoolRow, Codes, Location

SLACK = 1e-9
"""Rounding of a limit of the GC content times the length."""


@dataclass(frozen=True)
class DesignConstraints:
    """What designed sequences must not change or contain.

    A design has no N, and each position of a start is edited at most once.

    Attributes
    ----------
    fixed
        Positions that do not change: intervals ``"101-120"`` of every start (1-based, closed), or
        BED files (`pathlib.Path`) whose first column names the starts (0-based, half-open).
    forbidden
        Motifs that no design contains on either strand: sequences of IUPAC letters, or names of
        motifs in ``motif_files``, whose consensus counts.
    motif_files
        Files of motifs, in any format of `danq.read_motifs`.
    gc
        Smallest and largest fraction of G and C in a design.

    Raises
    ------
    InputError
        When the fractions are not between 0 and 1, or the largest is below the smallest.
    """

    fixed: Sequence[str | Path] = ()
    forbidden: Sequence[str] = ()
    motif_files: Sequence[Location] = ()
    gc: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        for name in ("fixed", "forbidden", "motif_files"):
            value = getattr(self, name)
            if isinstance(value, str | Path):
                raise InputError(
                    f"{name} is '{value}', not a list", remedy=f"Write {name}=[{value!r}]"
                )
        if self.gc is not None and not 0 <= self.gc[0] <= self.gc[1] <= 1:
            low, high = self.gc
            raise InputError(
                f"a GC content from {low:g} to {high:g} is not a range of fractions",
                remedy="Give the smallest and the largest fraction, such as 0.4 and 0.6",
            )
        if self.motif_files and not self.forbidden:
            raise InputError(
                "no motif of the file is forbidden",
                file=self.motif_files[0],
                remedy="Name the forbidden motifs, or leave the file out",
            )

    def forbidden_motifs(self) -> tuple[ForbiddenMotif, ...]:
        """The motifs of ``forbidden``.

        Raises
        ------
        InputError
            As `danq.genome.motif_choice.choose_motifs`; when the consensus of a motif has no
            position with fewer than four bases.
        """
        if not self.forbidden:
            return ()
        return tuple(
            ForbiddenMotif.of(motif) for motif in choose_motifs(self.forbidden, self.motif_files)
        )

    def provenance(self) -> dict[str, str | None]:
        """The constraints as text; None for those that are not set."""
        found = {
            "fixed": ", ".join(map(str, self.fixed)),
            "forbidden": ", ".join(self.forbidden),
            "motif_files": ", ".join(map(str, self.motif_files)),
            "gc": "" if self.gc is None else "{:g}-{:g}".format(*self.gc),
        }
        return {name: text or None for name, text in found.items()}


class Shortfall(NamedTuple):
    """Edits that a sequence needs to meet the constraints: for GC content, and for motifs."""

    gc: int
    motifs: int

    @property
    def edits(self) -> int:
        """All of them."""
        return self.gc + self.motifs


class Limits:
    """Constraints on windows of one length.

    Parameters
    ----------
    window
        Bases of a window.
    forbidden
        Motifs that must not occur.
    gc
        Smallest and largest fraction of G and C; None for any.

    Raises
    ------
    InputError
        When no number of G and C in a window is in the range.
    """

    def __init__(
        self,
        window: int,
        forbidden: Sequence[ForbiddenMotif] = (),
        gc: tuple[float, float] | None = None,
    ) -> None:
        self.forbidden = tuple(forbidden)
        low, high = (0.0, 1.0) if gc is None else gc
        self._least = math.ceil(low * window - SLACK)
        self._most = math.floor(high * window + SLACK)
        if self._least > self._most:
            raise InputError(
                f"no window of {window} bases has a GC content from {low:g} to {high:g}",
                remedy=f"Widen the range by {1 / window:.2g}",
            )

    def shortfall(self, codes: Codes, free: BoolRow) -> Shortfall | None:
        """Edits that a sequence needs; None if no edits of its free positions suffice."""
        gc = self._distance(_is_gc(codes).sum())
        own = _is_gc(codes[free])
        movable = own.sum() if _is_gc(codes).sum() > self._most else (~own).sum()
        motifs = edits_to_remove(occurrences(codes, self.forbidden), free)
        return None if motifs is None or gc > movable else Shortfall(int(gc), motifs)

    def allowed(self, codes: Codes, free: BoolRow, left: int) -> Bool[np.ndarray, "L 4"]:
        """Which substitutions of a sequence are allowed.

        No substitution makes the GC content deviate more or makes a forbidden motif. If the
        sequence deviates or has such motifs, enough edits must be left to mend it.

        Parameters
        ----------
        codes
            ``(L,)`` bases, without N.
        free
            ``(L,)``: positions that may change.
        left
            Number of edits after this one.
        """
        bases = np.arange(4)
        allowed = free[:, None] & (codes[:, None] != bases)
        now = self.shortfall(codes, free)
        if now is None:
            return np.zeros_like(allowed)
        change = _is_gc(bases)[None].astype(int) - _is_gc(codes)[:, None]
        gc = self._distance(_is_gc(codes).sum() + change)
        allowed &= gc <= now.gc
        made = completing(codes, self.forbidden)
        motifs = np.full(allowed.shape, now.motifs)
        if now.motifs == 0:
            allowed &= ~made
        else:
            covered = np.zeros((len(codes), 1), dtype=bool)
            for one in occurrences(codes, self.forbidden):
                covered[one.start : one.end] = True
            for at, base in np.argwhere(allowed & (made | covered)):
                mutant, rest = codes.copy(), free.copy()
                mutant[at], rest[at] = base, False
                needed = edits_to_remove(occurrences(mutant, self.forbidden), rest)
                motifs[at, base] = now.motifs + 1 if needed is None else needed
            allowed &= motifs <= now.motifs
        return allowed & (gc + motifs <= left)

    def check(self, name: str, codes: Codes, free: BoolRow, edits: int) -> None:
        """Check that a start can be edited, and can meet the constraints.

        Parameters
        ----------
        name
            Name of the start.
        codes, free
            As in `allowed`.
        edits
            Largest number of edits.

        Raises
        ------
        InputError
            When there is no free position, fewer than ``edits``, a forbidden motif is inside fixed
            positions, too few edits are allowed to mend the start, or no substitution is allowed.
        """
        unknown = np.flatnonzero(codes == N)
        if unknown.size:
            raise InputError(
                f"base {unknown[0] + 1:,} is N, and a design has no N",
                record=name,
                remedy="Give every base as A, C, G or T",
            )
        if not free.any():
            raise InputError(
                "all positions are fixed", record=name, remedy="Leave some positions free"
            )
        if edits > free.sum():
            raise InputError(
                f"{edits:,} edits, and {free.sum():,} positions are not fixed",
                record=name,
                remedy="Each position is edited at most once; allow fewer edits",
            )
        found = occurrences(codes, self.forbidden)
        for one in found:
            if not one.decisive(free):
                raise InputError(
                    f"contains the forbidden motif {one.motif.name} at {one.start + 1}-{one.end}, "
                    "inside fixed positions",
                    record=name,
                    remedy="Free these positions, allow the motif, or give another start",
                )
        needed = self.shortfall(codes, free)
        gc = _is_gc(codes).mean()
        if needed is None:
            raise InputError(
                f"the GC content, {gc:.3f}, cannot reach the range by edits of positions that are "
                "not fixed",
                record=name,
                remedy="Widen the range, or fix fewer positions",
            )
        if needed.edits > edits:
            raise InputError(
                f"edits that bring the GC content ({gc:.3f}) into the range: {needed.gc}; that "
                f"remove forbidden motifs ({len(found)}): {needed.motifs}; allowed edits: {edits}",
                record=name,
                remedy=f"Allow {needed.edits} edits, relax the constraints, or give another start",
            )
        if not self.allowed(codes, free, edits - 1).any():
            raise InputError(
                "no substitution meets the constraints", record=name, remedy="Relax the constraints"
            )

    def _distance(self, count: np.ndarray) -> np.ndarray:
        """Edits between numbers of G and C and the range."""
        return np.maximum(np.maximum(self._least - count, count - self._most), 0)


def _is_gc(codes: Codes) -> BoolRow:
    return (codes == 1) | (codes == 2)
