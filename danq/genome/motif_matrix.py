"""A motif: base frequencies by position, and scores of its matches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, Float64
from numpy.typing import ArrayLike

from danq._jit import kernel
from danq.errors import InputError
from danq.typing import CodeBatch, Matrix

UNIFORM = (0.25, 0.25, 0.25, 0.25)
LETTERS = "ACGT"
SLACK = 0.02
"""How far frequencies may sum from 1: files round them."""

# A position's frequent bases -> the letter that stands for them.
IUPAC = {
    "A": "A",
    "C": "C",
    "G": "G",
    "T": "T",
    "AC": "M",
    "AG": "R",
    "AT": "W",
    "CG": "S",
    "CT": "Y",
    "GT": "K",
    "ACG": "V",
    "ACT": "H",
    "AGT": "D",
    "CGT": "B",
}


@dataclass(frozen=True, eq=False)
class Motif:
    """What a factor binds, as base frequencies by position.

    Attributes
    ----------
    name
        Its name; white space in it becomes ``_`` in a file.
    probabilities
        ``(W, 4)`` frequencies of A, C, G, T; each row sums to 1.
    nsites
        Number of sites that the frequencies were counted from, where it is known.
    comment
        Further facts, such as where the motif comes from; kept in files of :func:`write_meme`.

    Raises
    ------
    InputError
        When the frequencies are not a ``(W, 4)`` table of rows that sum to 1, W at least 1.
    """

    name: str
    probabilities: Matrix
    nsites: int | None = None
    comment: Mapping[str, str] | None = field(default=None)

    def __post_init__(self) -> None:
        table = np.asarray(self.probabilities, dtype=np.float64)
        if table.ndim != 2 or table.shape[1] != 4 or not len(table):
            raise InputError(
                f"frequencies of shape {table.shape} are not (W, 4) with W of at least 1",
                record=self.name,
            )
        sums = table.sum(axis=1)
        bad = ~(np.abs(sums - 1) <= SLACK) | (table < 0).any(axis=1)
        if bad.any():
            at = int(np.flatnonzero(bad)[0])
            row = " ".join(f"{value:g}" for value in table[at])
            raise InputError(
                f"the frequencies at position {at + 1} ({row}) sum to {sums[at]:.4g}, not to 1, "
                "or are negative",
                record=self.name,
                remedy="Give one row a position, in the order A, C, G, T",
            )
        object.__setattr__(self, "probabilities", table / sums[:, None])

    @property
    def width(self) -> int:
        """Number of positions W."""
        return len(self.probabilities)

    @property
    def consensus(self) -> str:
        """One IUPAC letter a position: the bases at least half as frequent as the commonest."""
        letters = []
        for row in self.probabilities:
            bases = "".join(
                base for base, p in zip(LETTERS, row, strict=True) if 2 * p >= row.max()
            )
            letters.append(IUPAC.get(bases, "N"))
        return "".join(letters)

    def reverse_complement(self) -> Motif:
        """The same motif read on the other strand."""
        return Motif(self.name, self.probabilities[::-1, ::-1].copy(), self.nsites, self.comment)

    def log_odds(
        self, background: ArrayLike = UNIFORM, pseudocount: float = 0.01
    ) -> Float64[np.ndarray, "W 4"]:
        """Score of each base at each position, in bits.

        ``log2(p' / background)``, where ``p' = (p + pseudocount * background) /
        (1 + pseudocount)``.

        Parameters
        ----------
        background
            Frequencies of A, C, G, T to compare with, above 0, summing to 1.
        pseudocount
            Weight of the background, as a share of the motif's own sites; 0 gives -inf for a
            base that never occurs.

        Raises
        ------
        InputError
            When the background is not four frequencies above 0 that sum to 1, or the
            pseudocount is negative.
        """
        base = check_background(background)
        if pseudocount < 0:
            raise InputError(f"a pseudocount of {pseudocount:g} is below 0", record=self.name)
        mixed = (self.probabilities + pseudocount * base) / (1 + pseudocount)
        with np.errstate(divide="ignore"):
            return np.log2(mixed / base)


def check_background(background: ArrayLike) -> Float64[np.ndarray, "4"]:
    """Four base frequencies as an array.

    Raises
    ------
    InputError
        When they are not four, not above 0, or do not sum to 1.
    """
    base = np.asarray(background, dtype=np.float64)
    if base.shape != (4,) or not (base > 0).all() or abs(base.sum() - 1) > SLACK:
        raise InputError(
            f"a background of {base.tolist()} is not four frequencies above 0 that sum to 1",
            remedy="Give the frequencies of A, C, G and T",
        )
    return base / base.sum()


def scan(codes: CodeBatch, log_odds: Float64[np.ndarray, "W 4"]) -> Float32[np.ndarray, "B P"]:
    """Score a motif at every place, on the better of both strands.

    Parameters
    ----------
    codes
        ``(B, L)`` windows; A 0, C 1, G 2, T 3, unknown 4.
    log_odds
        ``(W, 4)`` scores of :meth:`Motif.log_odds`.

    Returns
    -------
    ndarray
        ``(B, L - W + 1)``: the larger of the sums of the motif and of its reverse complement
        over the W bases from each place on; -inf where one of them is unknown. No columns
        when L is below W.

    Raises
    ------
    InputError
        When ``codes`` is not two-dimensional or ``log_odds`` not ``(W, 4)``.
    """
    rows = np.ascontiguousarray(codes, dtype=np.uint8)
    table = np.ascontiguousarray(log_odds, dtype=np.float64)
    if rows.ndim != 2 or table.ndim != 2 or table.shape[1] != 4 or not len(table):
        raise InputError(
            f"codes of shape {rows.shape} and scores of shape {table.shape} are not (B, L), (W, 4)"
        )
    out = np.empty((len(rows), max(0, rows.shape[1] - len(table) + 1)), dtype=np.float32)
    _scan(rows, table, out)
    return out


@kernel
def _scan(codes, table, out):
    width = table.shape[0]
    for b in range(out.shape[0]):
        for at in range(out.shape[1]):
            forward = 0.0
            reverse = 0.0
            for i in range(width):
                code = codes[b, at + i]
                if code > 3:
                    forward = reverse = -np.inf
                    break
                forward += table[i, code]
                reverse += table[width - 1 - i, 3 - code]
            out[b, at] = max(forward, reverse)


def _plain_scan(codes: CodeBatch, table: np.ndarray) -> np.ndarray:
    """Twin of :func:`scan` in numpy."""
    width = len(table)
    scores = []
    for strand in (table, table[::-1, ::-1]):
        known = np.concatenate([strand, np.full((width, 1), -np.inf)], axis=1)
        views = np.lib.stride_tricks.sliding_window_view(codes, width, axis=1)
        scores.append(known[np.arange(width), views].sum(axis=-1))
    return np.maximum(*scores).astype(np.float32)
