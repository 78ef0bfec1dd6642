"""The interval of a sequence in which pairs of bases are mutated."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from danq.errors import InputError
from danq.genome.contig_names import ContigBridge
from danq.genome.regions import NUMBER, split_name
from danq.inference.mutagenesis.targets import Target

WHOLE = "all"
"""All bases of a sequence, instead of an interval."""

_BOUNDS = re.compile(rf"(?P<start>{NUMBER})-(?P<end>{NUMBER})")


class PairRegion(NamedTuple):
    """Interval whose pairs of bases are mutated.

    Attributes
    ----------
    name
        Contig or record; None if there is only one.
    start, end
        0-based, half-open, on the contig or record; None for the whole sequence.
    """

    name: str | None
    start: int | None
    end: int | None

    def target(self, targets: Sequence[Target], window: int) -> Target:
        """The first target that contains the interval.

        Parameters
        ----------
        targets
            Bases that are mutated.
        window
            Window length of the model in bases.

        Raises
        ------
        InputError
            When no target contains it, several could, or the target is longer than the window or
            has one base.
        """
        if self.name is None and len(targets) > 1:
            raise InputError(
                f"pairs {self._text} could be in any of {len(targets):,} sequences",
                remedy="Add the name of the sequence: NAME:start-end",
            )
        name = self.name
        if name is not None:
            bridge = ContigBridge((one.name for one in targets), source="pairs")
            name = bridge.find(name).contig or name
        mine = [one for one in targets if name in (None, one.name)]
        if not mine:
            raise InputError(
                f"pairs are requested in '{self.name}', and no sequence has that name",
                remedy=f"The first sequence is {targets[0].name}",
            )
        if self.start is None and len(mine) > 1:
            raise InputError(
                f"pairs {self._text} could be in any of {len(mine):,} regions of {mine[0].name}",
                remedy="Give the interval: NAME:start-end",
            )
        if mine[0].tile is not None:
            raise InputError(
                "pairs of bases are mutated in one sequence, and the genome is tiled",
                remedy="Choose one region of the genome, without tiles",
            )
        inside = [one for one in mine if self._is_inside(one)]
        if not inside:
            raise InputError(
                f"pairs {self._text} are not inside {mine[0].text} (1-based, closed)",
                remedy="Use positions on the contig or record, as in the output",
            )
        if inside[0].size > window:
            raise InputError(
                f"pairs are requested in {inside[0].text}, which has {inside[0].size:,} bases; the "
                f"maximum is the window of {window:,}",
                remedy="Choose a region around them no longer than the window",
            )
        if inside[0].size < 2:
            raise InputError(
                f"pairs are requested in {inside[0].text}, which has one base",
                remedy="Choose a sequence or region with at least two bases",
            )
        return inside[0]

    def within(self, target: Target) -> tuple[int, int]:
        """Start and end of the interval on a target that `target` returned."""
        if self.start is None or self.end is None:
            return target.start, target.end
        return self.start, self.end

    def _is_inside(self, target: Target) -> bool:
        start, end = self.within(target)
        return target.start <= start and end <= target.end

    @property
    def _text(self) -> str:
        return WHOLE if self.start is None else f"{self.start + 1}-{self.end}"


def parse_pairs(text: str) -> PairRegion:
    """Read ``start-end`` or ``NAME:start-end``, 1-based and closed, with the name also in braces.

    ``all`` or ``NAME:all`` is the whole sequence.

    Raises
    ------
    InputError
        When the text has another form, or the interval has fewer than two bases.
    """
    name, bounds = split_name(text.strip())
    if bounds == WHOLE and (name or ":" not in text):
        return PairRegion(name or None, None, None)
    match = _BOUNDS.fullmatch(bounds)
    if match is None or (":" in text and not name):
        raise InputError(
            f"pairs is '{text}', not start-end",
            remedy="Write start-end or NAME:start-end, 1-based with both ends included, or all",
        )
    start, end = (int(match[part].replace(",", "")) for part in ("start", "end"))
    if start < 1 or end <= start:
        raise InputError(
            f"pairs is {start}-{end}, which has fewer than two bases",
            remedy="Write start-end, 1-based with both ends included, the end above the start",
        )
    return PairRegion(name or None, start - 1, end)


def pairs_of(bases: int) -> int:
    """Number of substitutions of two of some bases, if none is N."""
    return 9 * bases * (bases - 1) // 2
