"""Proposals of regions: boxes of objects, predicted at every position of a map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


class Proposals(NamedTuple):
    """Boxes that a map proposes.

    Boxes are ``(x0, y0, x1, y1)`` as fractions of the image's width and height.

    Attributes
    ----------
    logits
        Logit of the probability that an anchor has an object.
    offsets
        Shift of an anchor's centre in widths and heights of the anchor, and logarithm of the change
        of its width and height.
    anchors
        Boxes at the positions of the map, position by position.
    """

    logits: Float[Tensor, "B A"]
    offsets: Float[Tensor, "B A 4"]
    anchors: Float[Tensor, "A 4"]

    def boxes(self) -> Float[Tensor, "B A 4"]:
        """The anchors after their offsets, cut at the edges of the image."""
        return moved(self.anchors, self.offsets).clamp(0, 1)


class RegionProposals(nn.Module):
    """Objectness and offsets of anchors: ``(B, F, h, w)`` to `Proposals`, ``A = h w k``.

    A convolution of width 3 and a linear layer read each position of the map, which has one square
    anchor of each size at its centre.

    Parameters
    ----------
    in_features
        Features F of the map.
    sizes
        Sides of the k anchors as fractions of the image's side.
    hidden
        Channels of the convolution.

    Notes
    -----
    Region proposal network of Ren et al., "Faster R-CNN", NIPS 2015, also in DenseCap (Johnson et
    al., CVPR 2016); simplified: square anchors only.
    """

    def __init__(self, in_features: int, sizes: Sequence[float], *, hidden: int = 64) -> None:
        super().__init__()
        if not sizes or min(sizes) <= 0:
            raise ValueError(f"sizes of anchors are {tuple(sizes)}, not positive numbers")
        self.sizes = tuple(sizes)
        self.conv = nn.Conv2d(in_features, hidden, 3, padding=1)
        self.output = nn.Conv2d(hidden, 5 * len(self.sizes), 1)

    def anchors(self, height: int, width: int, like: Tensor) -> Float[Tensor, "A 4"]:
        """Boxes of the anchors of a map, on the device of ``like``."""
        y, x = (
            (torch.arange(n, device=like.device, dtype=torch.float32) + 0.5) / n
            for n in (height, width)
        )
        centre = torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], dim=-1).flatten(0, 1)
        half = torch.tensor(self.sizes, device=like.device)[:, None].expand(-1, 2) / 2
        low, high = centre[:, None] - half, centre[:, None] + half
        return torch.cat([low, high], dim=2).flatten(0, 1)

    def forward(self, maps: Float[Tensor, "B F h w"]) -> Proposals:
        out = self.output(F.relu(self.conv(maps))).unflatten(1, (len(self.sizes), 5))
        out = out.permute(0, 3, 4, 1, 2).flatten(1, 3).float()
        anchors = self.anchors(*maps.shape[2:], like=maps)
        # A change beyond e ** 4 has no use, and its exponential may overflow.
        offsets = torch.cat([out[..., 1:3], out[..., 3:].clamp(-4, 4)], dim=2)
        return Proposals(out[..., 0], offsets, anchors)


def moved(anchors: Float[Tensor, "A 4"], offsets: Float[Tensor, "... A 4"]) -> Tensor:
    """Boxes of anchors after their offsets; `offsets_to` is the inverse."""
    size = anchors[:, 2:] - anchors[:, :2]
    centre = (anchors[:, :2] + anchors[:, 2:]) / 2 + offsets[..., :2] * size
    half = size * offsets[..., 2:].exp() / 2
    return torch.cat([centre - half, centre + half], dim=-1)


def offsets_to(anchors: Float[Tensor, "A 4"], boxes: Float[Tensor, "... A 4"]) -> Tensor:
    """Offsets that move anchors to boxes of a width and height above 0."""
    size, own = anchors[:, 2:] - anchors[:, :2], boxes[..., 2:] - boxes[..., :2]
    shift = (boxes[..., :2] + boxes[..., 2:] - anchors[:, :2] - anchors[:, 2:]) / 2
    return torch.cat([shift / size, (own / size).log()], dim=-1)


def box_iou(
    boxes: Float[Tensor, "... R 4"], others: Float[Tensor, "... Q 4"]
) -> Float[Tensor, "... R Q"]:
    """Intersection over union of all pairs of boxes; 0 where both have no area."""
    first, second = boxes.unsqueeze(-2), others.unsqueeze(-3)
    low = torch.maximum(first[..., :2], second[..., :2])
    high = torch.minimum(first[..., 2:], second[..., 2:])
    both = (high - low).clamp(min=0).prod(dim=-1)
    areas = [(x[..., 2:] - x[..., :2]).clamp(min=0).prod(dim=-1) for x in (first, second)]
    either = areas[0] + areas[1] - both
    return torch.where(either > 0, both / either.clamp(min=torch.finfo(either.dtype).tiny), 0.0)


def suppressed(
    boxes: Float[Tensor, "R 4"], scores: Float[Tensor, " R"], *, iou: float, most: int
) -> Int[Tensor, " K"]:
    """Indices of boxes by non-maximum suppression, the greatest score first.

    A box is left out where its intersection over union with a kept box of a greater score is above
    ``iou``. At most ``most`` are returned.
    """
    order = scores.argsort(descending=True, stable=True)
    overlap = box_iou(boxes[order], boxes[order]) > iou
    kept: list[int] = []
    for number in range(len(order)):
        if len(kept) == most:
            break
        if not kept or not overlap[number, kept].any():
            kept.append(number)
    return order[torch.tensor(kept, dtype=torch.long, device=order.device)]


def anchor_targets(
    anchors: Float[Tensor, "A 4"],
    boxes: Float[Tensor, "B R 4"],
    real: Bool[Tensor, "B R"],
    *,
    low: float = 0.3,
    high: float = 0.5,
) -> tuple[Int[Tensor, "B A"], Int[Tensor, "B A"]]:
    """Match anchors with the boxes of objects.

    Parameters
    ----------
    anchors, boxes, real
        Anchors; boxes of objects; True for boxes that are no padding.
    low, high
        An anchor has an object if its intersection over union with a box is at least ``high``, or
        greater than that of all other anchors with that box. It has none if all are below ``low``.

    Returns
    -------
    1 for anchors with an object, 0 without, -1 in between, which do not count; and the index of
    the box with the greatest overlap.
    """
    overlap = box_iou(anchors.expand(len(boxes), -1, -1), boxes)
    overlap = overlap.masked_fill(~real.unsqueeze(1), -1.0)
    best, index = overlap.max(dim=2)
    target = torch.where(best >= high, 1, torch.where(best < low, 0, -1))
    nearest = overlap.argmax(dim=1)
    rows, columns = real.nonzero(as_tuple=True)
    target[rows, nearest[rows, columns]] = 1
    index[rows, nearest[rows, columns]] = columns
    return target, index


def proposal_loss(
    proposals: Proposals, boxes: Float[Tensor, "B R 4"], real: Bool[Tensor, "B R"]
) -> Float[Tensor, ""]:
    """Cross-entropy of objectness, and smooth L1 loss of the offsets of anchors with an object.

    Anchors with and without an object have the same total weight. Arguments as of
    `anchor_targets`.
    """
    target, index = anchor_targets(proposals.anchors, boxes, real)
    has, lacks = target == 1, target == 0
    zero = proposals.logits.sum() * 0
    costs = F.binary_cross_entropy_with_logits(
        proposals.logits, has.to(proposals.logits.dtype), reduction="none"
    )
    loss = sum((costs[kind].mean() / 2 for kind in (has, lacks) if kind.any()), zero)
    if not has.any():
        return loss
    own = boxes.gather(1, index.unsqueeze(2).expand(-1, -1, 4))
    wanted = offsets_to(proposals.anchors.expand_as(own)[has], own[has])
    return loss + F.smooth_l1_loss(proposals.offsets[has], wanted)
