"""Sequences that a design starts from: those of a user, or random ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from danq.errors import InputError
from danq.inference.sources import Records, Source
from danq.interpretation.sequence_design.forbidden_motifs import ForbiddenMotif, occurrences
from danq.typing import Codes

TRIES = 1000
"""Random sequences that are drawn for a start without forbidden motifs."""


@dataclass(frozen=True)
class RandomStarts:
    """Random sequences to start from, named ``random1``, ``random2`` and so on.

    Bases are independent. G and C together have the frequency in the middle of the allowed GC
    content, or 0.5. Sequences with a forbidden motif are drawn again.

    Attributes
    ----------
    number
        Number of sequences.
    seed
        Random seed. The first sequences are the same for any number.

    Raises
    ------
    InputError
        When the number is below 1 or the seed below 0.
    """

    number: int
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, least in (("number", self.number, 1), ("seed", self.seed, 0)):
            if not isinstance(value, int) or value < least:
                raise InputError(
                    f"the {name} of random starts is {value!r}, not a whole number from {least}",
                    remedy=f"Use {least} or more",
                )

    def provenance(self) -> dict[str, str]:
        """The starts as text."""
        return {"input": f"{self.number:,} random sequences", "seed": str(self.seed)}

    def draw(
        self, window: int, forbidden: Sequence[ForbiddenMotif], gc: tuple[float, float] | None
    ) -> Starts:
        """Draw the sequences.

        Parameters
        ----------
        window
            Bases of a sequence.
        forbidden
            Motifs that they do not contain.
        gc
            Allowed GC content; None for any.

        Raises
        ------
        InputError
            When none of `TRIES` sequences is without forbidden motifs.
        """
        rng = np.random.default_rng(self.seed)
        fraction = 0.5 if gc is None else sum(gc) / 2
        frequencies = np.array([1 - fraction, fraction, fraction, 1 - fraction]) / 2
        codes = []
        for _ in range(self.number):
            for _ in range(TRIES):
                one = rng.choice(4, window, p=frequencies).astype(np.uint8)
                if not occurrences(one, forbidden):
                    break
            else:
                raise InputError(
                    f"none of {TRIES:,} random sequences is without the forbidden motifs",
                    remedy="Forbid longer motifs, or give the starts",
                )
            codes.append(one)
        return Starts(tuple(f"random{n}" for n in range(1, self.number + 1)), tuple(codes))


class Starts(NamedTuple):
    """Sequences to start from.

    Attributes
    ----------
    names
        Name of each.
    codes
        ``(L,)`` codes of each.
    """

    names: tuple[str, ...]
    codes: tuple[Codes, ...]


def read_starts(source: Source, window: int) -> Starts:
    """The sequences of a source.

    Parameters
    ----------
    source
        Sequences in memory or a FASTA file.
    window
        Bases that each must have.

    Raises
    ------
    InputError
        When the source is not of sequences, cannot be read, two sequences have one name, or one has
        another length.
    """
    if not isinstance(source, Records):
        raise InputError(
            f"{type(source).__name__} are no starts of a design",
            remedy="Give sequences, a FASTA file, or danq.RandomStarts",
        )
    names, codes = zip(*source.records(), strict=True)
    file = next(iter(source.files().values()), None)
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise InputError(
            f"several starts are named '{repeated[0]}'",
            file=file,
            remedy="Give each a different name",
        )
    for name, one in zip(names, codes, strict=True):
        if len(one) != window:
            raise InputError(
                f"has {len(one):,} bases, and the window of the model has {window:,}",
                file=file,
                record=name,
                remedy=f"Give starts of exactly {window:,} bases",
            )
    return Starts(names, codes)
