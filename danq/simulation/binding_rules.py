"""Binding rules: the motifs that a factor needs around its anchor motif."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Side = Literal["either", "downstream", "upstream"]
SIDES: tuple[Side, ...] = ("either", "downstream", "upstream")


@dataclass(frozen=True)
class Rule:
    """The binding rule of one track.

    Attributes
    ----------
    track
        Name of the track.
    anchor
        Motif of the factor; peaks are centred on it.
    partner
        Motif that is required near the anchor on either strand; None for no partner.
    gap
        Smallest and largest number of bases between anchor and partner.
    side
        Side of the partner relative to the anchor's strand.
    blocker
        Motif that prevents binding; None for no blocker.
    reach
        Largest number of bases between anchor and blocker.
    occupancy
        Probability of a peak at a perfect site.
    """

    track: str
    anchor: str
    partner: str | None = None
    gap: tuple[int, int] = (0, 0)
    side: Side = "either"
    blocker: str | None = None
    reach: int = 0
    occupancy: float = 0.95

    @property
    def motifs(self) -> tuple[str, ...]:
        """Names of the motifs in the rule."""
        return tuple(name for name in (self.anchor, self.partner, self.blocker) if name)

    def row(self, names: tuple[str, ...]) -> np.ndarray:
        """The rule as integers for the kernels; -1 for no partner and no blocker."""
        partner = -1 if self.partner is None else names.index(self.partner)
        blocker = -1 if self.blocker is None else names.index(self.blocker)
        side = SIDES.index(self.side)
        numbers = [names.index(self.anchor), partner, *self.gap, side, blocker, self.reach]
        return np.array(numbers, dtype=np.int64)
