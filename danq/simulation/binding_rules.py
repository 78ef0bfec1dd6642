"""What must hold around a motif for a factor to bind there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Side = Literal["either", "downstream", "upstream"]
SIDES: tuple[Side, ...] = ("either", "downstream", "upstream")


@dataclass(frozen=True)
class Rule:
    """The grammar of one track.

    Attributes
    ----------
    track
        Name of the track.
    anchor
        Motif that the factor binds; peaks are centred on it.
    partner
        Motif that must stand beside it on either strand; None when none is needed.
    gap
        Fewest and most bases between anchor and partner.
    side
        Where the partner stands, as the anchor's strand reads.
    blocker
        Motif that drives the factor off; None when there is none.
    reach
        Most bases between anchor and blocker at which it does.
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
        """Names of the motifs that the rule looks at."""
        return tuple(name for name in (self.anchor, self.partner, self.blocker) if name)

    def row(self, names: tuple[str, ...]) -> np.ndarray:
        """The rule as numbers for the kernels; -1 for no partner and no blocker."""
        partner = -1 if self.partner is None else names.index(self.partner)
        blocker = -1 if self.blocker is None else names.index(self.blocker)
        side = SIDES.index(self.side)
        numbers = [names.index(self.anchor), partner, *self.gap, side, blocker, self.reach]
        return np.array(numbers, dtype=np.int64)
