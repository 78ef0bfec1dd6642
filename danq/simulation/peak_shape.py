"""Shapes of peaks around bound sites, and the bins that they make positive."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from danq.genome.bin_coverage import least_cover
from danq.typing import IntRow


@dataclass(frozen=True)
class PeakShape:
    """Widths and summits of peaks, and the rate of noise peaks.

    Attributes
    ----------
    min_width, max_width
        Widths are uniform from ``min_width`` to ``max_width`` bases.
    jitter
        Largest distance of the summit from the site's centre in bases; it is uniform.
    noise
        Peaks without a site, per megabase and track.
    """

    min_width: int = 160
    max_width: int = 240
    jitter: int = 15
    noise: float = 15.0

    def draw(self, centre: IntRow, length: int, rng: np.random.Generator) -> IntRow:
        """Draw peaks around site centres on a contig.

        Parameters
        ----------
        centre
            ``(P,)`` 0-based centres.
        length
            Bases of the contig; peaks are clipped at its ends.

        Returns
        -------
        ndarray
            ``(P, 2)`` starts and ends, 0-based half-open.
        """
        width = rng.integers(self.min_width, self.max_width + 1, centre.size)
        summit = centre + rng.integers(-self.jitter, self.jitter + 1, centre.size)
        start = summit - width // 2
        return np.stack([start, start + width], axis=1).clip(0, length)

    def cover(self, bin_size: int, min_overlap: float) -> Float64[np.ndarray, "D"]:
        """Probability that a peak makes a bin positive, by the distance of their centres.

        Returns
        -------
        ndarray
            ``(2 D + 1,)`` for a site centre from D bases left of the bin's to D bases right of it;
            it is 0 farther away. The bin's centre is its base ``bin_size // 2``.
        """
        far = self.jitter + (self.max_width + bin_size) // 2 + 1
        width = np.arange(self.min_width, self.max_width + 1)
        start = np.arange(-far - self.jitter, far + self.jitter + 1)[:, None] - width // 2
        left = -(bin_size // 2)
        shared = np.minimum(start + width, left + bin_size) - np.maximum(start, left)
        enough = (shared >= least_cover(bin_size, min_overlap)).mean(axis=1)
        window = 2 * self.jitter + 1
        return np.convolve(enough, np.full(window, 1 / window), mode="valid")
