"""Scores of a variant from the predictions for its two alleles."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Float64

from danq.errors import InputError
from danq.inference.track_levels import BITS_NAME, Kind, TrackLevels

LOGIT, DIFF, PRODUCT, REF, ALT = SCORES = ("logit", "diff", "product", "ref", "alt")
"""Scores of a variant allele, one per track, in the order of output columns; `meaning` defines
them. ``logit`` is first: it ranks variants with measured effects best
(``benchmarks/studies/measured_variants.md``). Of amounts, it is the log2 fold change and has the
name ``log2fc``."""

AGREEMENT, EVALUE, QUANTILE, P, Q = "agreement", "evalue", "quantile", "p", "q"
"""Further values per track: of an ensemble, and with a background."""

SPECIFIC = "specific"
"""Score that p compares, stored in runs for a background; see `specific`."""

_PEAKS = {
    REF: "probability with the reference allele",
    ALT: "probability with the alternate allele",
    DIFF: "change in probability, alternate minus reference",
    LOGIT: "change in log2 odds (bits), alternate minus reference",
    PRODUCT: "absolute value of diff times logit, as in DeepSEA's E-value (bits)",
    EVALUE: "fraction of background variants with a larger product, at least 1e-6, as in DeepSEA",
    QUANTILE: "fraction of background variants with no larger logit magnitude, with the sign of "
    "this variant's logit (-1 to 1)",
    AGREEMENT: "fraction of the models whose logit has the sign of the mean logit",
    SPECIFIC: "product multiplied by the square of its fraction of the variant's largest product "
    "over all tracks of peaks of the model (bits)",
    P: "empirical p-value: (1 + number of background variants of the same kind and region whose "
    "specific score is at least this one's) / (1 + number of these background variants); the "
    "specific score is the product multiplied by the square of its fraction of the variant's "
    "largest product over all tracks of peaks of the model",
    Q: "q-value: false discovery rate (Benjamini-Hochberg) among the rows and tracks of this "
    "output whose p is no larger",
}

_AMOUNTS = {
    REF: "amount with the reference allele",
    ALT: "amount with the alternate allele",
    DIFF: "change in the amount, alternate minus reference",
    LOGIT: "log2 fold change: log2((1 + alternate) / (1 + reference)) of the measured amounts "
    "(transform and scale undone), or their difference if they are logarithms",
    PRODUCT: "absolute value of diff times log2fc",
    EVALUE: "fraction of background variants with a larger product, at least 1e-6",
    SPECIFIC: "product multiplied by the square of its fraction of the variant's largest product "
    "over all tracks of the model with this unit",
}


def score_name(score: str, kind: Kind) -> str:
    """Name of a score, or of its standard deviation, for tracks of a kind."""
    first, _, rest = score.partition("_")
    return "_".join(filter(None, (BITS_NAME[kind], rest))) if first == LOGIT else score


def meaning(score: str, kind: Kind) -> str:
    """Definition of a score for tracks of a kind, with its unit unless that is the track's."""
    if kind == "peaks":
        return _PEAKS[score]
    text = _AMOUNTS.get(score, _PEAKS[score]).replace("logit", BITS_NAME[kind])
    return text.replace("over all tracks of peaks of the model", "over all tracks with this unit")


HAS_UNIT = (REF, ALT, DIFF)
"""Scores that have the unit of the track."""

SIGNED = (LOGIT, DIFF, PRODUCT)
"""Scores that are summarised over tracks."""

SUMMARIES = {
    "max": "value of the track with the largest absolute {}",
    "l2": "square root of the sum over tracks of the squared {}",
}
"""Summaries of a score over all tracks."""

SIGNIFICANCE = "significance"
"""DeepSEA's functional significance: the geometric mean of a variant's E-values over tracks,
without conservation."""

SMALLEST_Q, SMALLEST_Q_TRACK = "q_min", "q_min_track"
"""The smallest q over tracks, and its track."""


class Effects(NamedTuple):
    """``(A, K)`` means over the views of a variant, from which the other scores are computed."""

    ref: Float64[np.ndarray, "A K"]
    alt: Float64[np.ndarray, "A K"]
    logit: Float64[np.ndarray, "A K"]

    def score(self, name: str) -> Float64[np.ndarray, "A K"]:
        """One of `SCORES`."""
        if name in self._fields:
            return getattr(self, name)
        diff = self.alt - self.ref
        return diff if name == DIFF else np.abs(diff * self.logit)


class View(NamedTuple):
    """``(A, K)`` numbers of one view of variants: one strand and one window position.

    They are logits of peaks and amounts (`danq.models.targets.track_scores`).
    """

    reference: Float32[np.ndarray, "A K"]
    alternate: Float32[np.ndarray, "A K"]


def effects(views: Iterable[View], levels: TrackLevels) -> Effects:
    """Scores of each view, averaged over the views.

    As in DeepSEA, scores are computed per strand and then averaged. ``product`` is computed from
    the averages, as for DeepSEA's E-value.

    Parameters
    ----------
    views
        At least one.
    levels
        Computes levels of the K tracks.
    """
    total: Effects | None = None
    count = 0
    for view in views:
        reference, alternate = levels(view.reference), levels(view.alternate)
        alternate.bits.__isub__(reference.bits)
        one = Effects(reference.value, alternate.value, alternate.bits)
        count += 1
        if total is None:
            total = one
            continue
        for sum_, part in zip(total, one, strict=True):
            sum_ += part
    assert total is not None
    for sum_ in total:
        sum_ /= count
    return total


def specific(
    product: Float64[np.ndarray, "V K"], comparable: Sequence[Sequence[int]] | None = None
) -> Float64[np.ndarray, "V K"]:
    """Each track's product multiplied by the square of its fraction of the largest product.

    A model also changes its prediction a little for tracks that a variant does not affect, if their
    peaks are correlated with those of a track that it does affect. Such a change is a small
    fraction of the largest one.

    Parameters
    ----------
    product
        Of all tracks of the model, each 0 or more.
    comparable
        Indices of the tracks whose products are compared with each other; each track once. None
        compares all.
    """
    if comparable is not None and len(comparable) > 1:
        out = np.empty_like(product)
        for tracks in comparable:
            out[:, tracks] = specific(product[:, tracks])
        return out
    largest = np.fmax.reduce(product, axis=1, keepdims=True)
    fraction = np.divide(product, largest, out=np.zeros_like(product), where=largest > 0)
    return product * fraction**2


def summarise(
    score: Float32[np.ndarray, "V K"],
) -> tuple[Float32[np.ndarray, "V"], Float32[np.ndarray, "V"]]:
    """Value of the track with the largest magnitude, and the L2 norm of the score over tracks."""
    largest = np.abs(score).argmax(axis=1)
    norm = np.sqrt(np.einsum("vk,vk->v", score, score, dtype=np.float64))
    return score[np.arange(len(score)), largest], norm.astype(np.float32)


def check_scores(
    scores: Iterable[str] | None, kinds: Collection[Kind] = ("peaks",)
) -> tuple[str, ...]:
    """The requested scores, in the order of `SCORES`; None for all.

    ``logit`` and ``log2fc`` select each other if there are tracks of peaks and of amounts: each
    track has its own.

    Parameters
    ----------
    scores
        Names of scores.
    kinds
        What the selected tracks measure.

    Raises
    ------
    InputError
        When one is unknown, or no track has it, or there are none.
    """
    if scores is None:
        return SCORES
    if isinstance(scores, str):
        scores = (scores,)
    requested = tuple(scores)
    known = {
        score_name(score, kind): score for score in SCORES for kind in BITS_NAME if kind in kinds
    }
    remedy = f"Choose from {', '.join(known)}"
    for name in requested:
        if name not in known:
            other = next((kind for kind, bits in BITS_NAME.items() if bits == name), None)
            raise InputError(
                f"unknown score '{name}'"
                if other is None
                else f"the score '{name}' is for tracks of {other}, and no track is of {other}",
                remedy=remedy,
            )
    if not requested:
        raise InputError("no score is selected", remedy=remedy)
    selected = {known[name] for name in requested}
    return tuple(score for score in SCORES if score in selected)
