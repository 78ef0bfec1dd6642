"""Which frames of a clip, or of a long series, a model receives."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int64


def sampled_frames(
    frames: int, steps: int, rng: np.random.Generator | None = None
) -> Int64[np.ndarray, " T"]:
    """0-based numbers of the frames that represent a clip, ascending.

    A clip of at most ``steps`` frames has all of them. A longer one is cut into ``steps`` segments
    of equal length; evaluation has the frame in the middle of each, training a random one.

    Parameters
    ----------
    frames
        Frames of the clip.
    steps
        Largest number of frames to return.
    rng
        For training.
    """
    if frames <= steps:
        return np.arange(frames)
    within = np.full(steps, 0.5) if rng is None else rng.random(steps)
    return np.minimum((np.arange(steps) + within) * frames / steps, frames - 1).astype(np.int64)
