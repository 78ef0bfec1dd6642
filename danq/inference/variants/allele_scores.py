"""Scores of a variant from the logits of its two alleles."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Float64

from danq.errors import InputError
from danq.inference.odds import odds

LOGIT, DIFF, PRODUCT, REF, ALT = SCORES = ("logit", "diff", "product", "ref", "alt")
"""Scores of a variant allele, one per track, in the order of output columns; `MEANING` defines
them. ``logit`` is first: it ranks variants with measured effects best
(``benchmarks/studies/measured_variants.md``)."""

AGREEMENT, P, Q = "agreement", "p", "q"
"""Further values per track: of an ensemble, and with a background."""

SPECIFIC = "specific"
"""Score that p compares, stored in runs for a background; see `specific`."""

MEANING = {
    "ref": "probability with the reference allele",
    "alt": "probability with the alternate allele",
    "diff": "change in probability, alternate minus reference",
    "logit": "change in log2 odds (bits), alternate minus reference",
    "product": "absolute value of diff times logit, as in DeepSEA's E-value (bits)",
    "evalue": "fraction of background variants with a larger product, at least 1e-6, as in DeepSEA",
    "quantile": "fraction of background variants with no larger logit magnitude, with the sign of "
    "this variant's logit (-1 to 1)",
    AGREEMENT: "fraction of the models whose logit has the sign of the mean logit",
    SPECIFIC: "product multiplied by the square of its fraction of the variant's largest product "
    "over all tracks of the model (bits)",
    P: "empirical p-value: (1 + number of background variants of the same kind and region whose "
    "specific score is at least this one's) / (1 + number of these background variants); the "
    "specific score is the product multiplied by the square of its fraction of the variant's "
    "largest product over all tracks of the model",
    Q: "q-value: false discovery rate (Benjamini-Hochberg) among the rows and tracks of this "
    "output whose p is no larger",
}
"""Definition and unit of each score."""

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
    """``(A, K)`` logits of one view of variants: one strand and one window position."""

    reference: Float32[np.ndarray, "A K"]
    alternate: Float32[np.ndarray, "A K"]


def effects(views: Iterable[View]) -> Effects:
    """Scores of each view, averaged over the views.

    As in DeepSEA, scores are computed per strand and then averaged. ``product`` is computed from
    the averages, as for DeepSEA's E-value.

    Parameters
    ----------
    views
        At least one.
    """
    total: Effects | None = None
    count = 0
    for view in views:
        reference, alternate = odds(view.reference), odds(view.alternate)
        alternate.bits.__isub__(reference.bits)
        one = Effects(reference.probability, alternate.probability, alternate.bits)
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


def specific(product: Float64[np.ndarray, "V K"]) -> Float64[np.ndarray, "V K"]:
    """Each track's product multiplied by the square of its fraction of the largest product.

    A model also changes its prediction a little for tracks that a variant does not affect, if their
    peaks are correlated with those of a track that it does affect. Such a change is a small
    fraction of the largest one.

    Parameters
    ----------
    product
        Of all tracks of the model, each 0 or more.
    """
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


def check_scores(scores: Iterable[str] | None) -> tuple[str, ...]:
    """The requested scores, in the order of `SCORES`; None for all.

    Raises
    ------
    InputError
        When one is unknown, or there are none.
    """
    if scores is None:
        return SCORES
    if isinstance(scores, str):
        scores = (scores,)
    requested = tuple(scores)
    for name in requested:
        if name not in SCORES:
            raise InputError(f"unknown score '{name}'", remedy=f"Choose from {', '.join(SCORES)}")
    if not requested:
        raise InputError("no score is selected", remedy=f"Choose from {', '.join(SCORES)}")
    return tuple(name for name in SCORES if name in requested)
