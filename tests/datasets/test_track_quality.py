"""Tracks that are copies, are tiny, or are replicates that disagree, with answers known by hand."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from danq.datasets import Dataset, build_dataset, summarise
from danq.datasets.track_quality import FEW_POSITIVES, TrackQuality, track_quality

WINDOWS = 1_000


@pytest.fixture
def labelled(dataset) -> Callable[[dict[str, np.ndarray]], Dataset]:
    """A dataset of training windows, with the positive windows of each track given."""

    def make(positives: dict[str, np.ndarray]) -> Dataset:
        labels = np.zeros((WINDOWS, len(positives)), np.uint8)
        for track, rows in enumerate(positives.values()):
            labels[rows, track] = 1
        return dataclasses.replace(
            dataset,
            contig=np.zeros(WINDOWS, np.uint32),
            start=np.arange(WINDOWS),
            split=np.zeros(WINDOWS, np.uint8),
            packed=np.packbits(labels, axis=1, bitorder="little"),
            tracks=tuple(positives),
            groups=("",) * len(positives),
            sources=tuple(positives),
            peaks=np.zeros(len(positives), int),
        )

    return make


def test_tracks_with_the_same_positives_are_found(labelled):
    rows = {f"other{n}": np.arange(n, 900 + n) for n in range(9)}
    found = track_quality(
        labelled(
            {
                "a": np.arange(100),
                **rows,
                "b": np.arange(100),
                "c": np.arange(1, 101),
                "d": np.arange(3, 903),
                "e": np.arange(100),
                "none": np.arange(0),
                "nothing": np.arange(0),
            }
        )
    )
    assert found.same == (("a", "b", "e"), ("other3", "d"))
    assert found.lines() == ["the same positive windows: a = b = e, other3 = d"]


def test_tracks_with_few_positives_are_found(labelled):
    sizes = {"one": 1, "almost": FEW_POSITIVES - 1, "enough": FEW_POSITIVES, "none": 0}
    found = track_quality(labelled({name: np.arange(size) for name, size in sizes.items()}))
    assert found.few == {"one": 1, "almost": 49}
    assert found.lines() == ["fewer than 50 positive training windows: one (1), almost (49)"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CTCF_rep1", "CTCF_rep2"),
        ("CTCF.Rep1", "CTCF.Rep2"),
        ("K562 CTCF replicate 1", "K562 CTCF replicate 2"),
        ("biorep1_CTCF", "biorep2_CTCF"),
        ("CTCF-rep1-K562", "CTCF-rep12-K562"),
    ],
)
def test_replicates_that_disagree_are_found(labelled, one, other):
    # 60 windows of both, of 400 of either.
    found = track_quality(labelled({one: np.arange(230), other: np.arange(170, 400)}))
    assert found.disagreeing == {(one, other): 60 / 400}
    pair = f"{one} and {other} (0.15)"
    assert found.lines() == [f"replicates that share few positive windows (Jaccard index): {pair}"]


@pytest.mark.parametrize(
    ("one", "other"),
    [("PREP1", "PREP2"), ("CTCF", "CTCF_rep1"), ("CTCF_rep1", "MAX_rep2"), ("h3rep1x", "h3rep2x")],
)
def test_other_names_are_not_replicates(labelled, one, other):
    found = track_quality(labelled({one: np.arange(230), other: np.arange(170, 400)}))
    assert found == TrackQuality()


def test_replicates_that_agree_are_not_reported(labelled):
    # 80 windows of both, of 400 of either: an index of 0.2 is enough.
    found = track_quality(labelled({"x_rep1": np.arange(240), "x_rep2": np.arange(160, 400)}))
    assert found.lines() == []


def test_long_lists_are_cut(labelled):
    found = track_quality(labelled({f"t{n}": np.arange(n) for n in range(1, 14)}))
    assert found.lines()[0].endswith("t10 (10) and 3 more")
    assert len(found.few) == 13


def test_builds_warn_about_such_tracks(folder: Path, caplog):
    text = (folder / "tracks" / "alpha.bed").read_text()
    (folder / "tracks" / "copy.narrowPeak").write_text(text)
    (folder / "tracks" / "empty.narrowPeak").write_text("")
    out = folder / "out.h5"
    with caplog.at_level(logging.WARNING, logger="danq"):
        summary = build_dataset(
            out, folder / "genome.fa", folder / "tracks", window=400, valid="two", test="three"
        )
    assert "Check these tracks: the same positive windows: alpha = copy." in caplog.text
    assert "No positive window in any split: empty." in caplog.text
    assert summary.quality.same == (("alpha", "copy"),)
    assert summary.quality == summarise(Dataset.open(out)).quality
    assert summary.tracks_to_check() == [
        *(f"no positive {split} window: empty" for split in ("train", "valid", "test")),
        *summary.quality.lines(),
    ]
    assert set(summary.quality.few) == {"alpha", "beta", "copy"}
