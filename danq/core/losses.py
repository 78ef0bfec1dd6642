"""Losses that torch does not have, or not with masks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from danq.core.masks import masked_mean, silent


def step_cross_entropy(
    logits: Float[Tensor, "B T K"],
    target: Int[Tensor, "B T"],
    mask: Bool[Tensor, "B T"] | None = None,
) -> Float[Tensor, ""]:
    """Cross-entropy of classes, the mean over all real steps."""
    safe = target if mask is None else target.masked_fill(~mask, 0)
    return masked_mean(F.cross_entropy(logits.transpose(1, 2), safe, reduction="none"), mask)


def step_regression(
    values: Float[Tensor, "B T K"],
    target: Float[Tensor, "B T K"],
    mask: Bool[Tensor, "B T"] | None = None,
) -> Float[Tensor, ""]:
    """Squared error, the mean over outputs and all real steps."""
    # Silent before the square: what padding holds may not reach the gradient either.
    error = silent(values - target, None if mask is None else mask.unsqueeze(2))
    return masked_mean(error.square().mean(dim=2), mask)


def refinement_loss(
    logits: Float[Tensor, "B S K H W"], target: Int[Tensor, "B H W"], *, ignore: int = -100
) -> Float[Tensor, ""]:
    """Cross-entropy of label maps, the mean over pixels and refinement steps.

    ``ignore`` is the label of pixels that do not count.
    """
    every = target.unsqueeze(1).expand(-1, logits.shape[1], -1, -1)
    return F.cross_entropy(logits.flatten(0, 1), every.flatten(0, 1), ignore_index=ignore)


def contrastive_loss(
    first: Float[Tensor, "B E"],
    second: Float[Tensor, "B E"],
    same: Bool[Tensor, " B"],
    *,
    margin: float = 2.0,
) -> Float[Tensor, ""]:
    """Draw pairs of one kind together, push others ``margin`` apart.

    ``d ** 2 / 2`` for the former, ``max(0, margin - d) ** 2 / 2`` for the latter, the mean over
    pairs (Hadsell, Chopra & LeCun, CVPR 2006; margin 2 in McLaughlin et al., CVPR 2016).
    """
    distance = _length(first - second)
    apart = (margin - distance).clamp(min=0)
    return torch.where(same, distance, apart).square().mean() / 2


def triplet_loss(
    points: Float[Tensor, "B E"], labels: Int[Tensor, " B"], *, margin: float = 0.2
) -> Float[Tensor, ""]:
    """Each point nearer to its farthest fellow than to its nearest stranger, by ``margin``.

    The mean of ``max(0, margin + farthest - nearest)`` over points that have both a fellow and a
    stranger in the batch ("batch hard", Hermans, Beyer & Leibe, 2017).

    Raises
    ------
    ValueError
        When no point has both.
    """
    distance = _length(points.unsqueeze(1) - points.unsqueeze(0))
    same = labels.unsqueeze(1) == labels
    fellow = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    usable = fellow.any(dim=1) & ~same.all(dim=1)
    if not usable.any():
        raise ValueError(
            f"a batch of {len(labels)} points with {len(labels.unique())} labels has no triplet"
        )
    farthest = distance.masked_fill(~fellow, float("-inf")).amax(dim=1)
    nearest = distance.masked_fill(same, float("inf")).amin(dim=1)
    return (margin + farthest[usable] - nearest[usable]).clamp(min=0).mean()


def doubly_stochastic(
    weights: Float[Tensor, "B S N"],
    mask: Bool[Tensor, "B N"] | None = None,
    steps: Bool[Tensor, "B S"] | None = None,
) -> Float[Tensor, ""]:
    """How unevenly attention passed over the tokens: mean of ``(1 - sum over steps) ** 2``.

    Parameters
    ----------
    weights
        Attention to N tokens at S steps.
    mask, steps
        Real tokens and steps.

    Notes
    -----
    Xu et al., "Show, attend and tell", ICML 2015.
    """
    if steps is not None:
        weights = weights.masked_fill(~steps.unsqueeze(2), 0.0)
    return masked_mean((1 - weights.sum(dim=1)).square(), mask)


def _length(x: Float[Tensor, "... E"]) -> Float[Tensor, "..."]:
    # The root has no gradient at 0, where a point meets itself or its twin.
    squares = x.square().sum(dim=-1)
    return torch.where(squares > 0, squares.clamp(min=torch.finfo(x.dtype).tiny).sqrt(), 0.0)
