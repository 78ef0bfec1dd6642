"""Windows that overlap, as segments of their sequences instead of as copies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from danq.genome.nucleotide_codes import N, reverse_complement
from danq.typing import CodeBatch, Codes

LARGEST_SHARE = 0.75
"""Bases of the segments, of the bases of all windows, up to which convolutions are shared: computing
both takes about the same time at 0.8."""


@dataclass(frozen=True)
class OverlappingWindows:
    """Windows of one or more segments of sequences.

    Attributes
    ----------
    codes
        Codes of the segments, one after another; 4 beyond the ends of a sequence.
    first
        ``(B,)`` index of the first base of each window in ``codes``. No window contains bases of
        two segments.
    window
        Bases of a window.
    """

    codes: Codes
    first: Int64[np.ndarray, "B"]
    window: int

    def __len__(self) -> int:
        return len(self.first)

    @property
    def pays(self) -> bool:
        """Whether computing each base of the segments once takes less time."""
        return len(self.codes) < LARGEST_SHARE * len(self.first) * self.window

    def cut(self) -> CodeBatch:
        """Codes of each window."""
        views = np.lib.stride_tricks.sliding_window_view(self.codes, self.window)
        return views[self.first]

    def unknown(self) -> int:
        """Number of windows without any known base."""
        known = np.zeros(len(self.codes) + 1, np.int64)
        np.cumsum(self.codes != N, out=known[1:])
        return int((known[self.first + self.window] == known[self.first]).sum())

    def reverse_complement(self) -> OverlappingWindows:
        """The reverse complements of the windows, in the same order."""
        first = len(self.codes) - self.first - self.window
        return OverlappingWindows(reverse_complement(self.codes), first, self.window)
