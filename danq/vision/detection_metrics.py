"""Average precision of detected regions and their phrases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float

from danq.core.region_proposals import box_iou

OVERLAPS = (0.3, 0.4, 0.5, 0.6, 0.7)
"""Least intersections over union of a match, as in DenseCap (Johnson et al., CVPR 2016)."""


@dataclass(frozen=True)
class Regions:
    """Regions of an image.

    Attributes
    ----------
    boxes
        ``(R, 4)``, x0, y0, x1, y1.
    phrases
        Words of each region.
    scores
        ``(R,)``, greater for more certain regions; unused in true regions.
    """

    boxes: Float[np.ndarray, "R 4"]
    phrases: Sequence[tuple[int, ...]]
    scores: Float[np.ndarray, " R"]


def mean_average_precision(
    found: Sequence[Regions], true: Sequence[Regions], *, phrases: bool = True
) -> float:
    """Mean over `OVERLAPS` of the average precision of regions.

    Parameters
    ----------
    found, true
        Detected and true regions of each image.
    phrases
        Whether a detection is correct only if its phrase is that of the true region.
    """
    scores = np.concatenate([regions.scores for regions in found])
    total = sum(len(regions.phrases) for regions in true)
    precisions = []
    for least in OVERLAPS:
        correct = [correct_regions(f, t, least, phrases) for f, t in zip(found, true, strict=True)]
        precisions.append(average_precision(scores, np.concatenate(correct), total))
    return float(np.mean(precisions))


def correct_regions(
    found: Regions, true: Regions, least: float, phrases: bool
) -> Bool[np.ndarray, " R"]:
    """Whether each detection of an image is correct.

    In the order of their scores, detections take the true region that they overlap most, of those
    that no detection has taken. A detection is correct if this overlap is at least ``least`` and,
    with ``phrases``, the phrases are equal.
    """
    correct = np.zeros(len(found.phrases), bool)
    if not len(true.phrases) or not len(found.phrases):
        return correct
    overlap = box_iou(torch.from_numpy(found.boxes), torch.from_numpy(true.boxes)).numpy()
    free = np.ones(len(true.phrases), bool)
    for row in np.argsort(-found.scores, kind="stable"):
        column = int(np.where(free, overlap[row], -1.0).argmax())
        if free[column] and overlap[row, column] >= least:
            free[column] = False
            correct[row] = not phrases or found.phrases[row] == true.phrases[column]
    return correct


def average_precision(
    scores: Float[np.ndarray, " N"], correct: Bool[np.ndarray, " N"], total: int
) -> float:
    """Mean precision at the correct detections, with 0 for true regions that are not found.

    Detections are ordered by score; those of one score are counted together. 0 without a true
    region.
    """
    if total == 0 or not len(scores):
        return 0.0
    order = np.argsort(-scores, kind="stable")
    hits = correct[order].cumsum()
    ends = np.append(np.diff(scores[order]) != 0, True)
    hits, seen = hits[ends], np.flatnonzero(ends) + 1
    return float((np.diff(hits, prepend=0) * hits / seen).sum() / total)
