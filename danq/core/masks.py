"""Masks: True at what is real, False at what fills up a batch."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def lengths_mask(lengths: Int[Tensor, " B"], steps: int) -> Bool[Tensor, "B T"]:
    """Mask of rows whose first ``lengths`` of ``steps`` steps are real."""
    return torch.arange(steps, device=lengths.device) < lengths.unsqueeze(1)


def masked_mean(
    values: Float[Tensor, "B T"], mask: Bool[Tensor, "B T"] | None = None
) -> Float[Tensor, ""]:
    """Mean over all real steps of all rows, each counted once; 0 where none is real."""
    if mask is None:
        return values.mean()
    return values.masked_fill(~mask, 0.0).sum() / mask.sum().clamp(min=1)


def silent(x: Float[Tensor, "B ..."], mask: Bool[Tensor, "B ..."] | None) -> Float[Tensor, "B ..."]:
    """The same with 0 where a mask that broadcasts to it is False."""
    return x if mask is None else x.masked_fill(~mask, 0.0)
