"""The part of a sequence in which every two bases are changed at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from danq.errors import InputError
from danq.inference.mutagenesis.targets import Stretch

_WORDS = re.compile(r"(?:(?P<name>\S+):)?(?P<start>[0-9][0-9,]*)-(?P<end>[0-9][0-9,]*)")


class PairRegion(NamedTuple):
    """Bases to change two at a time.

    Attributes
    ----------
    name
        Contig or record; None where there is only one.
    start, end
        0-based half-open, counted along the contig or record.
    """

    name: str | None
    start: int
    end: int

    @property
    def changes(self) -> int:
        """Changes of two bases, if all bases are known."""
        bases = self.end - self.start
        return 9 * bases * (bases - 1) // 2

    def stretch(self, stretches: Sequence[Stretch], window: int) -> Stretch:
        """The first stretch that holds it.

        Parameters
        ----------
        stretches
            Bases that are changed.
        window
            Bases of the model's window.

        Raises
        ------
        InputError
            When it lies in none of them, could lie in several, or lies in one that is longer than
            the window.
        """
        if self.name is None and len(stretches) > 1:
            raise InputError(
                f"pairs {self._words} could be in any of {len(stretches):,} sequences",
                remedy="Put the sequence's name in front: NAME:start-end",
            )
        mine = [one for one in stretches if self.name in (None, one.name)]
        if not mine:
            raise InputError(
                f"pairs are wanted in '{self.name}', and no sequence has that name",
                remedy=f"The first sequence is {stretches[0].name}",
            )
        inside = [one for one in mine if one.start <= self.start and self.end <= one.end]
        if not inside:
            raise InputError(
                f"pairs {self._words} are not inside {mine[0].words} (1-based, closed)",
                remedy="Count along the contig or record, as the output does",
            )
        if inside[0].size > window:
            raise InputError(
                f"pairs are wanted in {inside[0].words}, whose {inside[0].size:,} bases are more "
                f"than the window of {window:,}",
                remedy="Choose a region around them that is no longer than the window",
            )
        return inside[0]

    @property
    def _words(self) -> str:
        return f"{self.start + 1}-{self.end}"


def parse_pairs(text: str) -> PairRegion:
    """Read ``start-end`` or ``NAME:start-end``, 1-based and closed.

    Raises
    ------
    InputError
        When the text is neither, or holds no two bases.
    """
    match = _WORDS.fullmatch(text.strip())
    if match is None:
        raise InputError(
            f"the pairs '{text}' are not start-end",
            remedy="Write start-end or NAME:start-end, 1-based with both ends included",
        )
    start, end = (int(match[part].replace(",", "")) for part in ("start", "end"))
    if start < 1 or end <= start:
        raise InputError(
            f"the pairs {start}-{end} hold no two bases",
            remedy="Write start-end, 1-based with both ends included, the end above the start",
        )
    return PairRegion(match["name"], start - 1, end)
