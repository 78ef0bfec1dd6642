"""Directed evolution of a sequence: exact mutagenesis of a beam, edit after edit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64

from danq.errors import InputError
from danq.inference.mutagenesis.effects import Substitutions
from danq.inference.mutagenesis.mutant_levels import MutantLevels, mutated
from danq.interpretation.sequence_design.constraints import Limits
from danq.interpretation.sequence_design.goals import Objective
from danq.progress import Stage
from danq.typing import BoolRow, CodeBatch, Codes

TIE = 1e-5
"""Objectives that differ by at most this are equal."""

Gradients = Callable[[CodeBatch], Float64[np.ndarray, "R L 4"]]
"""First-order change of the objective for each base at each position of windows."""


class Edit(NamedTuple):
    """One substitution: 0-based position, and the codes of both bases."""

    position: int
    before: int
    after: int


@dataclass(frozen=True, eq=False)
class Member:
    """A sequence of a beam.

    Attributes
    ----------
    codes
        ``(L,)`` bases.
    free
        ``(L,)``: positions that are neither fixed nor edited.
    objective
        Its objective.
    edits
        Edits that made it from the start.
    objectives
        Objectives of the start and after each edit.
    """

    codes: Codes
    free: BoolRow
    objective: float
    edits: tuple[Edit, ...] = ()
    objectives: tuple[float, ...] = ()


@dataclass(frozen=True)
class BeamSearch:
    """Search for a sequence with the largest objective.

    In each step, all allowed substitutions of all members of the beam are evaluated, and the best
    mutants are the next beam. Of equal objectives (`TIE`), the lowest position is taken, then the
    first base in the order A, C, G, T, then the mutant of the member that ranks first. A sequence
    is in a beam once. The search ends with the last edit, or where no mutant is better than the
    best sequence so far. A beam of one member is a greedy search.

    Attributes
    ----------
    levels, objective
        What mutants are evaluated with.
    limits
        Which substitutions are allowed.
    edits
        Largest number of edits.
    width
        Members of a beam.
    proposals
        Number of substitutions of a member that are evaluated: those with the largest
        ``gradients``. None evaluates all.
    gradients
        First-order effects; needed for ``proposals``.
    """

    levels: MutantLevels
    objective: Objective
    limits: Limits
    edits: int
    width: int
    proposals: int | None = None
    gradients: Gradients | None = field(default=None)

    def run(self, name: str, codes: Codes, free: BoolRow, now: Stage) -> Member:
        """The best sequence that meets the constraints.

        Parameters
        ----------
        name
            Name of the start, for errors.
        codes
            ``(L,)`` bases of the start.
        free
            ``(L,)``: positions that may change.
        now
            Stage, to which each edit is added.

        Raises
        ------
        InputError
            When no allowed edits lead to a sequence that meets the constraints.
        """
        known, _ = self.levels(codes[None], _no_substitutions())
        start = Member(codes, free, float(self.objective(known)[0]))
        beam = [Member(codes, free, start.objective, (), (start.objective,))]
        best = self._first_valid(beam)
        for step in range(1, self.edits + 1):
            beam = self._next(beam, self.edits - step)
            now.add()
            if not beam or (best is not None and beam[0].objective <= best.objective + TIE):
                break
            found = self._first_valid(beam)
            if found is not None and (best is None or found.objective > best.objective + TIE):
                best = found
        if best is None:
            raise InputError(
                "no edits lead to a sequence that meets the constraints",
                record=name,
                remedy="Allow more edits, relax the constraints, or give another start",
            )
        return best

    def _first_valid(self, beam: list[Member]) -> Member | None:
        """The best member that meets the constraints."""
        for member in beam:
            needed = self.limits.shortfall(member.codes, member.free)
            if needed is not None and needed.edits == 0:
                return member
        return None

    def _next(self, beam: list[Member], left: int) -> list[Member]:
        """The best mutants of a beam, best first."""
        windows = np.stack([member.codes for member in beam])
        allowed = np.stack(
            [self.limits.allowed(member.codes, member.free, left) for member in beam]
        )
        if self.proposals is not None and self.gradients is not None:
            allowed &= _best_of_each(self.gradients(windows), allowed, self.proposals)
        owner, position, base = np.nonzero(allowed)
        if not len(owner):
            return []
        mutations = Substitutions(owner, position[:, None], base[:, None].astype(np.uint8))
        _, levels = self.levels(windows, mutations)
        values = self.objective(levels)
        mutants = mutated(windows, mutations)
        order = np.lexsort((owner, base, position))
        chosen = choose(values[order], mutants[order], self.width)
        return [
            _child(beam[owner[row]], int(position[row]), int(base[row]), float(values[row]))
            for row in order[chosen].tolist()
        ]


def choose(values: Float64[np.ndarray, "M"], mutants: CodeBatch, count: int) -> list[int]:
    """Indices of the best distinct sequences; of those with equal values the first.

    Parameters
    ----------
    values
        Objective of each mutant.
    mutants
        ``(M, L)`` their sequences.
    count
        Largest number of sequences.
    """
    chosen: list[int] = []
    seen: set[bytes] = set()
    rest = np.array(values, dtype=np.float64)
    while len(chosen) < count and (best := rest.max()) > -np.inf:
        row = int(np.flatnonzero(rest >= best - TIE)[0])
        rest[row] = -np.inf
        text = mutants[row].tobytes()
        if text not in seen:
            seen.add(text)
            chosen.append(row)
    return chosen


def _best_of_each(
    gradients: Float64[np.ndarray, "R L 4"], allowed: Bool[np.ndarray, "R L 4"], count: int
) -> Bool[np.ndarray, "R L 4"]:
    """The substitutions with the largest first-order effects of each window."""
    scores = np.where(allowed, gradients, -np.inf).reshape(len(gradients), -1)
    best = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    kept = np.zeros(scores.shape, dtype=bool)
    np.put_along_axis(kept, best, True, axis=1)
    return kept.reshape(allowed.shape)


def _child(parent: Member, position: int, base: int, objective: float) -> Member:
    codes, free = parent.codes.copy(), parent.free.copy()
    edit = Edit(position, int(codes[position]), base)
    codes[position], free[position] = base, False
    objectives = (*parent.objectives, objective)
    return Member(codes, free, objective, (*parent.edits, edit), objectives)


def _no_substitutions() -> Substitutions:
    empty = np.empty((0, 1), np.int64)
    return Substitutions(empty[:, 0], empty, empty.astype(np.uint8))
