"""Probabilities and log2 odds of logits; effects are differences of either."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Float64

CLIP = 1e-12
"""DeepSEA's constant: log2 odds are log2(p / (1 - p + CLIP)), so at most 39.9."""

LARGEST = 500.0
"""Magnitude to which logits are clipped, so that their exponentials are finite."""


class Odds(NamedTuple):
    """``(..., K)`` probabilities and log2 odds."""

    probability: Float64[np.ndarray, "... K"]
    bits: Float64[np.ndarray, "... K"]


def odds(logits: Float32[np.ndarray, "... K"]) -> Odds:
    """Probabilities, and log2 odds clipped as in DeepSEA: log2(p / (1 - p + 1e-12)).

    Computed from the logits in float64, which is precise even if p is close to 1.

    Parameters
    ----------
    logits
        Natural log odds.
    """
    z = np.clip(logits, -LARGEST, LARGEST, dtype=np.float64)
    e = np.exp(z)
    probability = e / (1 + e)
    # 1 / (1 - p) is 1 + e, so the clipped odds are e / (1 + CLIP (1 + e)).
    e *= CLIP
    e += 1 + CLIP
    z -= np.log(e, out=e)
    z /= np.log(2)
    return Odds(probability, z)
