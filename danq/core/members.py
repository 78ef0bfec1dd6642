"""Blocks of several small models side by side, whose outputs are averaged.

The features of a step are those of the first member, then of the second, and so on. No layer mixes
the features of two members, so that each member learns alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from danq.core.block_interface import features_of
from danq.core.heads import Mlp, MultiLabel


class MemberLayers(nn.Module):
    """One temporal layer per member: ``(B, T, N F) -> (B, T, N G)``.

    Parameters
    ----------
    layers
        Modules of one kind with ``out_features`` that take ``(B, T, F)`` and a mask, such as
        `Recurrent`; one per member.
    """

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.out_features = sum(features_of(layer) for layer in layers)

    def forward(
        self, x: Float[Tensor, "B T F"], mask: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T G"]:
        shares = x.chunk(len(self.layers), dim=2)
        parts = [layer(part, mask) for layer, part in zip(self.layers, shares, strict=True)]
        return torch.cat(parts, dim=2)


class MemberLabels(MultiLabel):
    """The mean of the logits of all members: ``(B, P N G) -> (B, K)``.

    In training, the logits of every member: ``(N B, K)``, those of the first member for the whole
    batch, then those of the second. A loss of the mean would let members compensate for each
    other's errors.

    Parameters
    ----------
    features
        Features G of a step and member. The input has P blocks of the features of all members, such
        as the means, then the maxima.
    inputs
        Number of input features P N G.
    labels
        Number of labels K.
    members
        Number of members N.
    dropout
        Dropout of the input.

    Notes
    -----
    Averages of independently initialised networks: Lakshminarayanan, Pritzel & Blundell, NeurIPS
    2017.
    """

    def __init__(
        self, features: int, inputs: int, labels: int, members: int, *, dropout: float = 0.0
    ) -> None:
        super().__init__(Mlp(inputs, (), input_dropout=dropout), labels)
        self.features, self.members = features, members

    def forward(self, x: Float[Tensor, "B F"]) -> Float[Tensor, "B K"]:
        x = self.body(x)
        weight, bias = self.output.weight, self.output.bias
        if not self.training:
            return F.linear(x, weight / self.members, bias)
        shape = (-1, self.members, self.features)
        shares, weights = x.unflatten(1, shape), weight.unflatten(1, shape)
        logits = torch.einsum("bpng,kpng->nbk", shares, weights) + bias
        return logits.flatten(0, 1)


def per_member(outputs: Float[Tensor, "M K"], values: Float[Tensor, "B W"]) -> Tensor:
    """Repeat the values of a batch for the outputs of every member."""
    count = len(outputs) // max(1, len(values))
    return values if count <= 1 else values.repeat(count, *(1 for _ in values.shape[1:]))
