"""Losses that torch lacks, or has without masks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from danq.core.masks import masked_mean, zero_padding


def step_cross_entropy(
    logits: Float[Tensor, "B T K"],
    target: Int[Tensor, "B T"],
    mask: Bool[Tensor, "B T"] | None = None,
) -> Float[Tensor, ""]:
    """Cross-entropy of classes, averaged over all real steps."""
    safe = target if mask is None else target.masked_fill(~mask, 0)
    return masked_mean(F.cross_entropy(logits.transpose(1, 2), safe, reduction="none"), mask)


def step_regression(
    values: Float[Tensor, "B T K"],
    target: Float[Tensor, "B T K"],
    mask: Bool[Tensor, "B T"] | None = None,
) -> Float[Tensor, ""]:
    """Squared error, averaged over outputs and all real steps."""
    # Padding is set to 0 before the square, so that it reaches no gradient either.
    error = zero_padding(values - target, None if mask is None else mask.unsqueeze(2))
    return masked_mean(error.square().mean(dim=2), mask)


def refinement_loss(
    logits: Float[Tensor, "B S K H W"], target: Int[Tensor, "B H W"], *, ignore: int = -100
) -> Float[Tensor, ""]:
    """Cross-entropy of label maps, averaged over pixels and refinement steps.

    Pixels with the label ``ignore`` do not count.
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
    """Contrastive loss of pairs of embeddings.

    A pair at distance d costs ``d ** 2 / 2`` if it is of the same kind and
    ``max(0, margin - d) ** 2 / 2`` otherwise; the loss is the mean over pairs (Hadsell, Chopra &
    LeCun, CVPR 2006; margin 2 in McLaughlin et al., CVPR 2016).
    """
    distance = _length(first - second)
    apart = (margin - distance).clamp(min=0)
    return torch.where(same, distance, apart).square().mean() / 2


def triplet_loss(
    points: Float[Tensor, "B E"], labels: Int[Tensor, " B"], *, margin: float = 0.2
) -> Float[Tensor, ""]:
    """Triplet loss of embeddings ("batch hard").

    The mean of ``max(0, margin + farthest - nearest)`` over points: ``farthest`` is the distance to
    the farthest point of the same label, ``nearest`` the distance to the nearest point of another
    label. Points without both in the batch do not count (Hermans, Beyer & Leibe, 2017).

    Raises
    ------
    ValueError
        When no point has both.
    """
    distance = _length(points.unsqueeze(1) - points.unsqueeze(0))
    same = labels.unsqueeze(1) == labels
    other_same = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    usable = other_same.any(dim=1) & ~same.all(dim=1)
    if not usable.any():
        raise ValueError(
            f"a batch of {len(labels)} points with {len(labels.unique())} labels has no triplet"
        )
    farthest = distance.masked_fill(~other_same, float("-inf")).amax(dim=1)
    nearest = distance.masked_fill(same, float("inf")).amin(dim=1)
    return (margin + farthest[usable] - nearest[usable]).clamp(min=0).mean()


def _length(x: Float[Tensor, "... E"]) -> Float[Tensor, "..."]:
    # The square root has no gradient at 0, the distance of equal points.
    squares = x.square().sum(dim=-1)
    return torch.where(squares > 0, squares.clamp(min=torch.finfo(x.dtype).tiny).sqrt(), 0.0)
