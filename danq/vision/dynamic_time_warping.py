"""Dynamic time warping, a distance of series that allows for differences in pace."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int64

from danq._jit import kernel


@kernel
def _gaps(known, queries, gaps):
    channels, steps = known.shape[1:]
    width = queries.shape[2]
    before = np.empty(steps + 1)
    row = np.empty(steps + 1)
    for q in range(len(queries)):
        for k in range(len(known)):
            before[:] = np.inf
            before[0] = 0.0
            for i in range(width):
                row[0] = np.inf
                for j in range(steps):
                    cost = 0.0
                    for c in range(channels):
                        cost += (queries[q, c, i] - known[k, c, j]) ** 2
                    row[j + 1] = cost + min(before[j], before[j + 1], row[j])
                before[:] = row
            gaps[q, k] = before[steps]


def warped_distances(
    known: Float[np.ndarray, "N C T"], queries: Float[np.ndarray, "M C U"]
) -> Float[np.ndarray, "M N"]:
    """Distance of each query to each known series.

    It is the least root of the sum of squared differences over all alignments of the steps. All
    channels have one alignment (dependent warping).

    Notes
    -----
    Sakoe & Chiba, 1978; without a window. `tests/vision/test_dynamic_time_warping.py` compares it
    with pyts.
    """
    gaps = np.empty((len(queries), len(known)))
    _gaps(known.astype(np.float64), queries.astype(np.float64), gaps)
    return np.sqrt(gaps)


def nearest_warped(
    known: Float[np.ndarray, "N C T"],
    labels: Int64[np.ndarray, " N"],
    queries: Float[np.ndarray, "M C U"],
) -> Int64[np.ndarray, " M"]:
    """Label of the known series with the least distance to each query."""
    return labels[warped_distances(known, queries).argmin(axis=1)]
