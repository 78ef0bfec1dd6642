"""Windows that overlap, as segments of their sequences instead of as copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from danq.genome.nucleotide_codes import N, reverse_complement
from danq.typing import CodeBatch, Codes

LARGEST_SHARE = 0.75
"""Bases of segments, as a fraction of the bases of their windows, up to which windows share the
convolution. At 0.8, both ways take about the same time."""


def shares(bases: int, of_windows: int) -> bool:
    """Whether windows share the convolution, from the bases of their segments and their own."""
    return bases < LARGEST_SHARE * of_windows


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

    @classmethod
    def joined(cls, parts: Sequence[OverlappingWindows]) -> OverlappingWindows:
        """The windows of several parts, one after another; at least one part."""
        sizes = [len(part.codes) for part in parts]
        before = np.cumsum([0, *sizes[:-1]])
        first = [part.first + offset for part, offset in zip(parts, before, strict=True)]
        codes = np.concatenate([part.codes for part in parts])
        return cls(codes, np.concatenate(first), parts[0].window)

    def rows(self, selected: slice) -> OverlappingWindows:
        """Some of the windows, at least one."""
        first = self.first[selected]
        low, high = int(first.min()), int(first.max()) + self.window
        return OverlappingWindows(self.codes[low:high], first - low, self.window)

    def cut(self) -> CodeBatch:
        """Codes of each window."""
        views = np.lib.stride_tricks.sliding_window_view(self.codes, self.window)
        return views[self.first]

    def cut_if_distant(self) -> OverlappingWindows | CodeBatch:
        """These windows where computing each base once takes less time, else their codes."""
        return self if shares(len(self.codes), len(self.first) * self.window) else self.cut()

    def unknown(self) -> int:
        """Number of windows without any known base."""
        known = np.zeros(len(self.codes) + 1, np.int64)
        np.cumsum(self.codes != N, out=known[1:])
        return int((known[self.first + self.window] == known[self.first]).sum())

    def reverse_complement(self) -> OverlappingWindows:
        """The reverse complements of the windows, in the same order."""
        first = len(self.codes) - self.first - self.window
        return OverlappingWindows(reverse_complement(self.codes), first, self.window)
