"""Sequences of unequal lengths: their padding is found, moved to the end and masked."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from danq.core.cnn_rnn import CnnRnn
from danq.core.filter_lookup import SYMBOLS
from danq.core.masks import lengths_mask
from danq.core.recurrent import Recurrent


class PaddedCnnRnn(CnnRnn):
    """A `CnnRnn` of symbols whose outputs do not depend on how sequences are padded.

    Unknown symbols at both ends of an input are padding. A sequence is moved to the start of the
    input, and its steps are the ``encoder.steps(length)`` of a sequence of its length, at least
    one; all later steps are masked. With pooling over steps, the outputs are therefore those of the
    sequence without padding.

    Parameters are those of `CnnRnn`. The encoder reads codes and has a method ``steps``.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for layer in self.modules():
            if isinstance(layer, Recurrent):
                layer.fused_masks = True

    def forward(
        self,
        x: UInt8[Tensor, "B L"] | Float[Tensor, "B 4 L"],
        mask: Bool[Tensor, "B T"] | None = None,
    ) -> Float[Tensor, "B K"]:
        """Outputs for codes with padding, or for an input with the mask of its steps.

        Raises
        ------
        ValueError
            When there is no mask and the input is not codes, in which padding is found.
        """
        if mask is None:
            if x.dim() != 2:
                raise ValueError(f"an input of shape {tuple(x.shape)} needs a mask")
            x, mask = self.aligned(x)
            # Without a mask, recurrent layers are faster.
            mask = None if bool(mask.all()) else mask
        return super().forward(x, mask)

    def aligned(self, codes: UInt8[Tensor, "B L"]) -> tuple[Tensor, Bool[Tensor, "B T"]]:
        """Codes with all padding at the end, and the mask of the steps of the encoder."""
        before, length = self.padding(codes)
        size = codes.shape[1]
        along = torch.arange(size, device=codes.device)
        index = (along + before.unsqueeze(1)).clamp(max=size - 1)
        moved = codes.gather(1, index).masked_fill(along >= length.unsqueeze(1), SYMBOLS)
        return moved, self._mask(length, size)

    def padding(
        self, codes: UInt8[Tensor, "B L"]
    ) -> tuple[Int64[Tensor, " B"], Int64[Tensor, " B"]]:
        """Number of unknown symbols before each sequence, and length of the sequence."""
        real = (codes != SYMBOLS).long()
        before = (real.cumsum(dim=1) == 0).sum(dim=1)
        after = (real.flip(1).cumsum(dim=1) == 0).sum(dim=1)
        # Without any known symbol, both counts are those of the whole input.
        return before, (codes.shape[1] - before - after).clamp(min=0)

    def _mask(self, length: Tensor, size: int) -> Bool[Tensor, "B T"]:
        count = [max(1, self.encoder.steps(bases)) for bases in range(size + 1)]  # type: ignore[operator]
        steps = torch.tensor(count, device=length.device)[length]
        return lengths_mask(steps, count[-1])
