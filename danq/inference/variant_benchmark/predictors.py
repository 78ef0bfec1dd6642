"""What is compared with measured effects: summaries of a model's scores, its tracks, baselines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Float64

from danq.inference.variant_benchmark.baselines import Baseline
from danq.inference.variants.allele_scores import (
    LOGIT,
    PRODUCT,
    summarise,
)
from danq.inference.variants.device_scorer import DeviceScorer
from danq.inference.variants.scorer import Scorer
from danq.inference.variants.variant_input import AlleleWindows
from danq.inference.writers.variant_layout import VariantLayout
from danq.typing import BoolRow

SUMMARY, TRACK, BASELINE = KINDS = ("summary", "track", "baseline")

SUMMARIES = {
    "max": "of the track with the largest absolute value",
    "l2": "L2 norm over tracks",
    "sum": "sum over tracks",
}
"""Summaries of a score over tracks."""


class Predictor(NamedTuple):
    """One number per variant.

    Attributes
    ----------
    kind
        One of `KINDS`.
    name
        Such as ``logit_max``, a track, or ``gc_change``.
    meaning
        What the number is.
    size
        ``(N,)`` larger for variants with a larger predicted effect.
    signed
        ``(N,)`` above 0 for an increase; None for numbers without a sign.
    """

    kind: str
    name: str
    meaning: str
    size: Float64[np.ndarray, "N"]
    signed: Float64[np.ndarray, "N"] | None


class Scores(NamedTuple):
    """Scores of all variants.

    Attributes
    ----------
    tracks
        ``(N, K)`` change in log2 odds, or log2 fold change, of each track.
    summaries, baselines
        ``(N,)`` values by name.
    """

    tracks: Float32[np.ndarray, "N K"]
    summaries: dict[str, np.ndarray]
    baselines: dict[str, np.ndarray]


def compute_scores(
    scorer: Scorer | DeviceScorer,
    baselines: Sequence[Baseline],
    windows: Iterable[AlleleWindows],
    keep: BoolRow,
) -> Iterator[tuple[int, Scores]]:
    """Scores of consecutive blocks of variants.

    Parameters
    ----------
    scorer
        The model, with the scores `SIGNED`.
    baselines
        Further predictors.
    windows
        Blocks of V variants in all.
    keep
        ``(V,)`` rows to return.

    Yields
    ------
    records, scores
        Number of records of the block, and the scores of its kept rows.
    """
    start = 0
    for one in windows:
        kept = keep[start : start + len(one.block)]
        start += len(one.block)
        values = scorer.start(one)()[kept]
        summaries = {}
        for score in scorer.layout.summarised:
            part = scorer.layout.part(values, score.score)
            if len(score.tracks) < part.shape[1]:
                part = part[:, score.tracks]
            largest, norm = summarise(part)
            total = part.sum(axis=1, dtype=np.float64)
            for how, value in zip(SUMMARIES, (largest, norm, total), strict=True):
                summaries[f"{score.name}_{how}"] = value
        others: dict[str, np.ndarray] = {}
        for baseline in baselines:
            others |= {name: value[kept] for name, value in baseline.scores(one).items()}
        logit = np.ascontiguousarray(scorer.layout.part(values, LOGIT))
        yield one.block.records, Scores(logit, summaries, others)


def joined(parts: Sequence[Scores]) -> Scores:
    """Scores of all blocks; at least one."""
    return Scores(
        np.concatenate([one.tracks for one in parts]),
        *(
            {
                name: np.concatenate([getattr(one, what)[name] for one in parts])
                for name in getattr(parts[0], what)
            }
            for what in ("summaries", "baselines")
        ),
    )


def predictors(
    scores: Scores, layout: VariantLayout, baselines: Sequence[Baseline]
) -> Iterator[Predictor]:
    """Predictors in the order summaries, baselines, tracks.

    Parameters
    ----------
    scores
        Scores of all variants.
    layout
        Columns of the scores.
    baselines
        As for `compute_scores`.
    """
    for one in layout.summarised:
        for how, text in SUMMARIES.items():
            name, unsigned = f"{one.name}_{how}", one.score == PRODUCT or how == "l2"
            what = f"{layout.meaning(one.score, one.kind)}; {text}"
            yield _predictor(SUMMARY, name, what, scores.summaries[name], unsigned)
    for baseline in baselines:
        for name, meaning in baseline.meanings.items():
            unsigned = name in baseline.unsigned
            yield _predictor(BASELINE, name, meaning, scores.baselines[name], unsigned)
    for track, kind, values in zip(layout.tracks, layout.kinds, scores.tracks.T, strict=True):
        yield _predictor(TRACK, track, layout.meaning(LOGIT, kind), values, False)


def _predictor(kind: str, name: str, meaning: str, values: np.ndarray, unsigned: bool) -> Predictor:
    wide = values.astype(np.float64)
    return Predictor(
        kind, name, meaning, wide if unsigned else np.abs(wide), None if unsigned else wide
    )
