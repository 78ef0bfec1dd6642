"""Summary of a dataset: sizes, windows, positives and dropped bins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from danq.datasets.amount_summary import TrackAmounts, amounts_to_check, summarise_amounts
from danq.datasets.dataset import Dataset
from danq.datasets.dataset_format import SPLITS
from danq.datasets.display_dataset import track_positives
from danq.datasets.label_bits import count_bits
from danq.datasets.leaked_windows import count_leaked
from danq.datasets.track_quality import MOST_NAMED, TrackQuality, track_quality
from danq.errors import few
from danq.notebook_display import Display, FirstRows, display_html, display_text
from danq.typing import IntRow


@dataclass(frozen=True, eq=False)
class BuildSummary:
    """Summary of a dataset.

    Attributes
    ----------
    path
        File of the dataset, if any.
    size
        Bytes of the file, 0 without one.
    window, bin, stride, min_overlap
        Sizes in bases; fraction of a bin that peaks must cover.
    contigs, bases
        Contigs of the packed genome, and their bases.
    tracks, groups
        Name and group of each track: ``P`` tracks of peaks, then tracks of amounts.
    peaks
        ``(P,)`` number of peaks of each track of peaks.
    windows
        Number of windows by split.
    positives
        ``(P, 3)`` number of positive windows of each track of peaks in train, valid and test.
    leaked
        Number of held-out windows, by split, of whose k-mers at least 80 %, and all, occur in the
        training windows; None when they were not counted.
    leaked_positives
        ``(P, 3)`` number of positive windows of each track that are leaked; 0 when they were not
        counted.
    dropped
        Number of bins without a window, by the first reason that applies.
    dropped_peaks
        Number of peaks not used, by reason.
    sha256
        SHA-256 of the content.
    quality
        Tracks that are copies, have few positives, or are replicates that disagree.
    amounts
        Amounts of each track of amounts.
    folds
        Number of windows of each fold.
    oriented
        Whether reverse complements are not used.
    standalone
        Whether windows are standalone sequences.
    """

    path: Path | None
    size: int
    window: int
    bin: int
    stride: int
    min_overlap: float
    contigs: int
    bases: int
    tracks: tuple[str, ...]
    groups: tuple[str, ...]
    peaks: IntRow
    windows: Mapping[str, int]
    positives: IntRow
    sha256: str
    leaked: Mapping[str, tuple[int, int]] | None
    leaked_positives: IntRow
    dropped: Mapping[str, int] = field(default_factory=dict)
    dropped_peaks: Mapping[str, int] = field(default_factory=dict)
    quality: TrackQuality = field(default_factory=TrackQuality)
    amounts: tuple[TrackAmounts, ...] = ()
    folds: Mapping[str, int] = field(default_factory=dict)
    oriented: bool = False
    standalone: bool = False

    __repr__ = display_text
    _repr_html_ = display_html

    def _display(self) -> Display:
        facts = {
            "File": self.path,
            "Size": f"{self.size / 1e6:,.1f} MB",
            "Window": f"{self.window:,} bp around a bin of {self.bin:,} bp",
            "Genome": f"{self.bases:,} bases in {self.contigs:,} contigs",
            **{f"Windows, {split}": count for split, count in self.windows.items()},
            **{f"Bins without a window, {reason}": n for reason, n in self.dropped.items() if n},
            **{f"Peaks not used, {reason}": n for reason, n in self.dropped_peaks.items() if n},
            "SHA-256": self.sha256,
        }
        table = track_positives(self.tracks, self.groups, self.positives)
        return Display(
            f"{sum(self.windows.values()):,} windows, {len(self.tracks):,} tracks",
            "\n".join(self.tracks_to_check()),
            facts,
            tables=[FirstRows.of("Positive windows of each track", table)],
        )

    @property
    def without_positives(self) -> dict[str, tuple[str, ...]]:
        """Tracks without a positive window, by split."""
        return {
            split: tuple(
                track
                for track, count in zip(
                    self.tracks[: self.peaks.size], self.positives[:, number], strict=True
                )
                if count == 0
            )
            for number, split in enumerate(SPLITS)
        }

    def tracks_to_check(self) -> list[str]:
        """One line for each split in which tracks have no positive window, then other problems."""
        empty = [
            f"no positive {split} window: {few(tracks, MOST_NAMED)}"
            for split, tracks in self.without_positives.items()
            if tracks
        ]
        return [*empty, *self.quality.lines(), *amounts_to_check(self.amounts)]


def saved_as(dataset: Dataset, path: Path) -> Dataset:
    """The dataset as the content of a file, with what was already computed of it."""
    saved = replace(dataset, path=path)
    for name in ("sha256", "leaked"):
        if name in dataset.__dict__:
            saved.__dict__[name] = dataset.__dict__[name]
    return saved


def summarise(dataset: Dataset, *, leaks: bool = True) -> BuildSummary:
    """Summarise a dataset.

    Parameters
    ----------
    dataset
        The dataset.
    leaks
        Whether to count leaked windows, which takes a minute or two for a human genome.
    """
    path = dataset.path
    per_split = np.bincount(dataset.split, minlength=len(SPLITS)).tolist()
    return BuildSummary(
        path=path,
        size=path.stat().st_size if path is not None and path.exists() else 0,
        window=dataset.window,
        bin=dataset.bin,
        stride=dataset.stride,
        min_overlap=dataset.min_overlap,
        contigs=len(dataset.genome.names),
        bases=int(dataset.genome.lengths.sum()),
        tracks=dataset.tracks,
        groups=dataset.groups,
        peaks=dataset.peaks,
        windows=dict(zip(SPLITS, per_split, strict=True)),
        positives=np.stack([dataset.positives(split) for split in SPLITS], axis=1),
        sha256=dataset.sha256,
        leaked=count_leaked(dataset) if leaks else None,
        leaked_positives=_leaked_positives(dataset, leaks),
        dropped=dict(dataset.build.get("dropped_bins", {})),
        dropped_peaks=dict(dataset.build.get("dropped_peaks", {})),
        quality=track_quality(dataset),
        amounts=summarise_amounts(dataset),
        folds=_fold_sizes(dataset),
        oriented=dataset.oriented,
        standalone=dataset.standalone,
    )


def _fold_sizes(dataset: Dataset) -> dict[str, int]:
    if dataset.folds is None:
        return {}
    names = dataset.values.fold_names
    return dict(zip(names, np.bincount(dataset.folds, minlength=len(names)).tolist(), strict=True))


def _leaked_positives(dataset: Dataset, leaks: bool) -> IntRow:
    counts = np.zeros((len(SPLITS), 8 * dataset.packed.shape[1]), dtype=np.int64)
    if leaks:
        rows = np.flatnonzero(dataset.leaked)
        count_bits(dataset.packed[rows], dataset.split[rows], counts)
    return counts[:, : dataset.peaks.size].T
