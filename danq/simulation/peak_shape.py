"""How a bound site becomes a peak, and how a peak makes bins positive."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from danq.genome.bin_coverage import least_cover
from danq.typing import IntRow


@dataclass(frozen=True)
class PeakShape:
    """Widths and summits of peaks, and how many arise by chance.

    Attributes
    ----------
    least, most
        Widths are uniform from ``least`` to ``most`` bases.
    jitter
        The summit lies up to so many bases to either side of the site's centre, uniformly.
    noise
        Peaks per megabase and track that no site explains.
    """

    least: int = 160
    most: int = 240
    jitter: int = 15
    noise: float = 15.0

    def draw(self, centre: IntRow, length: int, rng: np.random.Generator) -> IntRow:
        """Peaks around site centres on a contig.

        Parameters
        ----------
        centre
            ``(P,)`` 0-based centres.
        length
            Bases of the contig; peaks are cut off at its ends.

        Returns
        -------
        ndarray
            ``(P, 2)`` starts and ends, 0-based half-open.
        """
        width = rng.integers(self.least, self.most + 1, centre.size)
        summit = centre + rng.integers(-self.jitter, self.jitter + 1, centre.size)
        start = summit - width // 2
        return np.stack([start, start + width], axis=1).clip(0, length)

    def cover(self, bin_size: int, min_overlap: float) -> Float64[np.ndarray, "D"]:
        """Probability that a peak makes a bin positive, by the distance of their centres.

        Returns
        -------
        ndarray
            ``(2 D + 1,)`` for a site centre D bases left of the bin's to D bases right of it;
            farther away it is 0. The bin's centre is its base ``bin_size // 2``.
        """
        far = self.jitter + (self.most + bin_size) // 2 + 1
        width = np.arange(self.least, self.most + 1)
        start = np.arange(-far - self.jitter, far + self.jitter + 1)[:, None] - width // 2
        left = -(bin_size // 2)
        shared = np.minimum(start + width, left + bin_size) - np.maximum(start, left)
        enough = (shared >= least_cover(bin_size, min_overlap)).mean(axis=1)
        window = 2 * self.jitter + 1
        return np.convolve(enough, np.full(window, 1 / window), mode="valid")
