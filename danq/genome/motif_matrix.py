"""A motif as a matrix of base frequencies, and scores of its matches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64
from numpy.typing import ArrayLike

from danq._jit import kernel
from danq.errors import InputError
from danq.notebook_display import Display, FirstRows, display_html, display_text
from danq.typing import CodeBatch, Matrix

UNIFORM = (0.25, 0.25, 0.25, 0.25)
LETTERS = "ACGT"
SLACK = 0.02
"""Largest deviation of a sum of frequencies from 1: files hold rounded values."""

# The frequent bases of a position -> their IUPAC code.
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
    """The motif of a factor, as base frequencies per position.

    Attributes
    ----------
    name
        Name; white space becomes ``_`` in a file.
    probabilities
        ``(W, 4)`` frequencies of A, C, G, T; each row sums to 1.
    nsites
        Number of sites from which the frequencies were counted, if known.
    comment
        Further entries, such as the origin of the motif; :func:`write_meme` writes them.

    Raises
    ------
    InputError
        When the frequencies are not ``(W, 4)`` with W of at least 1 and rows that sum to 1.
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
                remedy="Give one row per position, in the order A, C, G, T",
            )
        object.__setattr__(self, "probabilities", table / sums[:, None])

    __repr__ = display_text
    _repr_html_ = display_html

    def _display(self) -> Display:
        sites = "" if self.nsites is None else f", {self.nsites:,} sites"
        table: dict[str, Any] = {"position": range(1, self.width + 1)}
        table |= {base: self.probabilities[:, code] for code, base in enumerate(LETTERS)}
        frequencies = FirstRows.of("Frequencies of the bases", table, self.width)
        return Display(
            f"{self.name}: {self.consensus}{sites}",
            facts=self.comment or {},
            tables=[frequencies],
            plots=["danq.plots.draw_logo"],
        )

    @property
    def width(self) -> int:
        """Number of positions W."""
        return len(self.probabilities)

    @property
    def consensus(self) -> str:
        """One IUPAC code per position, for the bases at least half as frequent as the top one."""
        letters = []
        for row in self.probabilities:
            bases = "".join(
                base for base, p in zip(LETTERS, row, strict=True) if 2 * p >= row.max()
            )
            letters.append(IUPAC.get(bases, "N"))
        return "".join(letters)

    def reverse_complement(self) -> Motif:
        """The motif on the other strand."""
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
            Background frequencies of A, C, G, T, above 0, that sum to 1.
        pseudocount
            Weight of the background relative to the motif; 0 gives -inf for a base that never
            occurs.

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
    """Check four base frequencies and return them as an array.

    Raises
    ------
    InputError
        When they are not four frequencies above 0 that sum to 1.
    """
    base = np.asarray(background, dtype=np.float64)
    if base.shape != (4,) or not (base > 0).all() or abs(base.sum() - 1) > SLACK:
        raise InputError(
            f"a background of {base.tolist()} is not four frequencies above 0 that sum to 1",
            remedy="Give the frequencies of A, C, G and T",
        )
    return base / base.sum()


def scan(codes: CodeBatch, log_odds: Float64[np.ndarray, "W 4"]) -> Float32[np.ndarray, "B P"]:
    """Score a motif at every position; the larger score of both strands is returned.

    Parameters
    ----------
    codes
        ``(B, L)`` windows; A 0, C 1, G 2, T 3, N 4.
    log_odds
        ``(W, 4)`` scores of :meth:`Motif.log_odds`.

    Returns
    -------
    ndarray
        ``(B, L - W + 1)``: the larger of the sums of the motif and of its reverse complement
        over the W bases that start at each position; -inf where one of them is N. No columns
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
    """Plain twin of :func:`scan` in numpy."""
    width = len(table)
    scores = []
    for strand in (table, table[::-1, ::-1]):
        known = np.concatenate([strand, np.full((width, 1), -np.inf)], axis=1)
        views = np.lib.stride_tricks.sliding_window_view(codes, width, axis=1)
        scores.append(known[np.arange(width), views].sum(axis=-1))
    return np.maximum(*scores).astype(np.float32)
