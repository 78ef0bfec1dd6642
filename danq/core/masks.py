"""Masks of padded batches: True at real positions, False at padding."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def lengths_mask(lengths: Int[Tensor, " B"], steps: int) -> Bool[Tensor, "B T"]:
    """Mask whose row ``i`` is True at the first ``lengths[i]`` of ``steps`` steps."""
    return torch.arange(steps, device=lengths.device) < lengths.unsqueeze(1)


def reversed_steps(mask: Bool[Tensor, "B T"]) -> Int[Tensor, "B T 1"]:
    """Index that reads the real steps of each row, which come first, in reverse order."""
    length = mask.sum(dim=1, keepdim=True)
    along = torch.arange(mask.shape[1], device=mask.device)
    return torch.where(along < length, length - 1 - along, along).unsqueeze(2)


def masked_mean(
    values: Float[Tensor, "B T"], mask: Bool[Tensor, "B T"] | None = None
) -> Float[Tensor, ""]:
    """Mean over all real steps of all rows; 0 without a real step."""
    if mask is None:
        return values.mean()
    return values.masked_fill(~mask, 0.0).sum() / mask.sum().clamp(min=1)


def zero_padding(
    x: Float[Tensor, "B ..."], mask: Bool[Tensor, "B ..."] | None
) -> Float[Tensor, "B ..."]:
    """``x`` with 0 where the mask, which broadcasts to it, is False."""
    return x if mask is None else x.masked_fill(~mask, 0.0)
