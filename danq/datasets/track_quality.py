"""Find tracks that are probably not what they were meant to be: copies, tiny ones, replicates."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from danq.datasets.dataset import Dataset
from danq.errors import few
from danq.typing import BoolRow

FEW_POSITIVES = 50
"""A track with fewer positive training windows than this is reported."""

LOW_AGREEMENT = 0.2
"""Two replicates with a smaller Jaccard index of their positive windows are reported. Two tracks of
one size then share less than a third of their positives."""

MOST_NAMED = 10
"""Tracks, groups or pairs that a line names."""

# A separator comes first: PREP1 and PREP2 are transcription factors.
_REPLICATE = re.compile(r"(^|[._ -])(bio|tech)?rep(licate)?[._ -]?\d+", re.IGNORECASE)


@dataclass(frozen=True)
class TrackQuality:
    """Tracks of a dataset that need a look.

    Attributes
    ----------
    same
        Groups of tracks whose positive windows are the same; tracks without positives are not
        among them.
    few
        Number of positive training windows of the tracks with fewer than `FEW_POSITIVES`, but with
        one or more in some split.
    disagreeing
        Jaccard index of the positive windows (those of both, divided by those of either) of pairs
        of replicates, if it is below `LOW_AGREEMENT`.
    """

    same: tuple[tuple[str, ...], ...] = ()
    few: Mapping[str, int] = field(default_factory=dict)
    disagreeing: Mapping[tuple[str, str], float] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """One line for each kind of problem that occurs."""
        kinds = {
            "the same positive windows": [few(names, MOST_NAMED, " = ") for names in self.same],
            f"fewer than {FEW_POSITIVES} positive training windows": [
                f"{name} ({count})" for name, count in self.few.items()
            ],
            "replicates that share few positive windows (Jaccard index)": [
                f"{a} and {b} ({value:.2f})" for (a, b), value in self.disagreeing.items()
            ],
        }
        return [f"{kind}: {few(found, MOST_NAMED)}" for kind, found in kinds.items() if found]


def track_quality(dataset: Dataset) -> TrackQuality:
    """Find copied tracks, tracks with few positives, and replicates that disagree.

    Replicates are tracks whose names differ only in ``rep1``, ``_rep2``, ``biorep3``,
    ``replicate 1`` or the like.
    """
    counts = np.stack([dataset.positives(split) for split in ("train", "valid", "test")], axis=1)
    total = counts.sum(axis=1)
    few = {
        dataset.tracks[track]: int(counts[track, 0])
        for track in np.flatnonzero((counts[:, 0] < FEW_POSITIVES) & (total > 0))
    }
    disagreeing = {}
    for group in _replicates(dataset.tracks[: dataset.peaks.size]):
        for a, b in combinations(group, 2):
            if total[a] and total[b]:
                one, other = _column(dataset, a), _column(dataset, b)
                value = np.count_nonzero(one & other) / np.count_nonzero(one | other)
                if value < LOW_AGREEMENT:
                    disagreeing[dataset.tracks[a], dataset.tracks[b]] = value
    return TrackQuality(_copies(dataset, counts), few, disagreeing)


def _copies(dataset: Dataset, counts: np.ndarray) -> tuple[tuple[str, ...], ...]:
    candidates: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for track, key in enumerate(map(tuple, counts.tolist())):
        if any(key):
            candidates[key].append(track)
    found: dict[bytes, list[str]] = defaultdict(list)
    for tracks in candidates.values():
        for track in tracks if len(tracks) > 1 else ():
            found[np.packbits(_column(dataset, track)).tobytes()].append(dataset.tracks[track])
    return tuple(tuple(names) for names in found.values() if len(names) > 1)


def _replicates(names: tuple[str, ...]) -> list[list[int]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for track, name in enumerate(names):
        stem, marks = _REPLICATE.subn("", name)
        if marks:
            groups[stem].append(track)
    return [tracks for tracks in groups.values() if len(tracks) > 1]


def _column(dataset: Dataset, track: int) -> BoolRow:
    """Whether each window is positive for a track."""
    return (dataset.packed[:, track // 8] >> (track % 8) & 1).astype(bool)
