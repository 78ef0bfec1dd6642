"""Losses of amounts: counts, coverage and expression, with missing values and weights.

Every loss is a weighted mean over the values that were measured. A mask is True at measured values;
the others may be NaN and affect neither the loss nor its gradient. Weights are not negative and
broadcast to the shape of the mask.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from danq.core.masks import zero_padding


def weighted_mean(
    values: Float[Tensor, "..."],
    mask: Bool[Tensor, "..."] | None = None,
    weights: Float[Tensor, "..."] | None = None,
) -> Float[Tensor, ""]:
    """Mean of all values at which the mask is True; 0 where no value counts.

    Parameters
    ----------
    values
        Any shape.
    mask
        The same shape; None counts every value.
    weights
        Weights of the values, of a shape that broadcasts to theirs; None for equal weights.
    """
    share = torch.ones_like(values) if weights is None else weights.to(values).expand_as(values)
    share = zero_padding(share, mask)
    total = share.sum()
    return (zero_padding(values, mask) * share).sum() / torch.where(total > 0, total, 1.0)


def gaussian_loss(
    values: Float[Tensor, "..."],
    target: Float[Tensor, "..."],
    mask: Bool[Tensor, "..."] | None = None,
    weights: Float[Tensor, "..."] | None = None,
) -> Float[Tensor, ""]:
    """Mean squared error, the negative log-likelihood of a normal distribution up to constants.

    Parameters
    ----------
    values, target
        Predicted and measured amounts of one shape.
    mask, weights
        As in `weighted_mean`.
    """
    error = values - zero_padding(target, mask)
    return weighted_mean(zero_padding(error, mask).square(), mask, weights)


def poisson_loss(
    log_rates: Float[Tensor, "..."],
    target: Float[Tensor, "..."],
    mask: Bool[Tensor, "..."] | None = None,
    weights: Float[Tensor, "..."] | None = None,
) -> Float[Tensor, ""]:
    """Negative log-likelihood of Poisson counts, without the term that depends on counts alone.

    ``exp(x) - k x`` for the log rate x and the count k.

    Parameters
    ----------
    log_rates
        Natural logarithms of the predicted counts.
    target
        Measured counts of the same shape, 0 or more; they need not be whole.
    mask, weights
        As in `weighted_mean`.
    """
    safe = zero_padding(log_rates, mask)
    return weighted_mean(safe.exp() - zero_padding(target, mask) * safe, mask, weights)


def multinomial_loss(
    logits: Float[Tensor, "... S"],
    counts: Float[Tensor, "... S"],
    mask: Bool[Tensor, "... S"] | None = None,
    weights: Float[Tensor, "..."] | None = None,
) -> Float[Tensor, ""]:
    """Negative log-likelihood of a profile, given its total count.

    The profile is a draw of ``sum(counts)`` reads from S steps with the probabilities
    ``softmax(logits)``.

    Parameters
    ----------
    logits
        One logit per step.
    counts
        Measured counts of the same shape, 0 or more; they need not be whole.
    mask
        Measured steps. The others have no share in the softmax.
    weights
        One weight per profile, of a shape that broadcasts to those of the profiles.

    Notes
    -----
    BPNet's loss of profiles (Avsec et al., Nature Genetics 2021).
    """
    measured = zero_padding(counts, mask)
    # A finite value in place of minus infinity, so that a profile without measured steps stays
    # finite.
    known = logits if mask is None else logits.masked_fill(~mask, -1e4)
    log_p = zero_padding(known.log_softmax(dim=-1), mask)
    constant = torch.lgamma(measured.sum(dim=-1) + 1) - torch.lgamma(measured + 1).sum(dim=-1)
    loss = -(measured * log_p).sum(dim=-1) - constant
    return weighted_mean(loss, None if mask is None else mask.any(dim=-1), weights)


def total_count_loss(
    log_totals: Float[Tensor, "..."],
    counts: Float[Tensor, "... S"],
    mask: Bool[Tensor, "... S"] | None = None,
    weights: Float[Tensor, "..."] | None = None,
) -> Float[Tensor, ""]:
    """Squared error of ``log(1 + total)`` of each profile.

    Parameters
    ----------
    log_totals
        Predicted ``log(1 + total)`` of each profile.
    counts, mask, weights
        As in `multinomial_loss`. The total is that of the measured steps.

    Notes
    -----
    BPNet's loss of total counts (Avsec et al., Nature Genetics 2021).
    """
    total = zero_padding(counts, mask).sum(dim=-1)
    known = None if mask is None else mask.any(dim=-1)
    return weighted_mean((log_totals - total.log1p()).square(), known, weights)


def soft_bins(
    values: Float[Tensor, "..."], centres: Float[Tensor, " N"], spread: float
) -> Float[Tensor, "... N"]:
    """Share of each bin in a normal distribution around each value.

    The bins have equal widths; the first and the last one are open.

    Parameters
    ----------
    values
        Measured amounts.
    centres
        Centres of the bins, ascending and evenly spaced; at least two.
    spread
        Standard deviation of the distribution.

    Notes
    -----
    Targets of DREAM-RNN (Rafi et al., Nature Biotechnology 2024), with the centres 0 to 17 and a
    standard deviation of 0.5.
    """
    edges = (centres[1:] + centres[:-1]) / 2
    z = (edges - values.unsqueeze(-1)) / (spread * math.sqrt(2))
    below = torch.special.erfc(-z) / 2
    first, last = torch.zeros_like(below[..., :1]), torch.ones_like(below[..., :1])
    return torch.cat([below, last], dim=-1) - torch.cat([first, below], dim=-1)


def soft_bin_loss(
    logits: Float[Tensor, "... N"],
    target: Float[Tensor, "..."],
    centres: Float[Tensor, " N"],
    spread: float,
    mask: Bool[Tensor, "..."] | None = None,
    weights: Float[Tensor, "..."] | None = None,
) -> Float[Tensor, ""]:
    """Kullback-Leibler divergence of predicted bins from the `soft_bins` of measured amounts.

    Parameters
    ----------
    logits
        One logit per bin.
    target
        Measured amounts.
    centres, spread
        As in `soft_bins`.
    mask, weights
        As in `weighted_mean`, of the shape of ``target``.
    """
    wanted = soft_bins(zero_padding(target, mask), centres, spread)
    divergence = F.kl_div(logits.log_softmax(dim=-1), wanted, reduction="none").sum(dim=-1)
    return weighted_mean(divergence, mask, weights)


def expected_value(
    logits: Float[Tensor, "... N"], centres: Float[Tensor, " N"]
) -> Float[Tensor, "..."]:
    """Mean of the bins' centres, weighted by the bins' probabilities ``softmax(logits)``."""
    return logits.softmax(dim=-1) @ centres
