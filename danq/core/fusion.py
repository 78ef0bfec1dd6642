"""Fusion of several input streams into one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from danq.core.block_interface import features_of, with_mask
from danq.core.masks import zero_padding


class Concat(nn.Module):
    """Concatenated streams: ``S x (B, F_s) -> (B, sum of F_s)``; an absent stream is 0."""

    def __init__(self, features: Sequence[int]) -> None:
        super().__init__()
        self.out_features = sum(features)

    def forward(
        self,
        streams: Sequence[Float[Tensor, "B F"]],
        present: Bool[Tensor, "B S"] | None = None,
    ) -> Float[Tensor, "B G"]:
        return torch.cat(
            [zero_padding(x, _column(present, number)) for number, x in enumerate(streams)], dim=1
        )


class Multiply(nn.Module):
    """Product of the streams after a dense layer and tanh each: ``S x (B, F_s) -> (B, G)``.

    An absent stream is 1.

    Notes
    -----
    Antol et al. (ICCV 2015) combine an image and a question in this way.
    """

    def __init__(self, features: Sequence[int], out_features: int) -> None:
        super().__init__()
        self.dense = nn.ModuleList(nn.Linear(size, out_features) for size in features)
        self.out_features = out_features

    def forward(
        self,
        streams: Sequence[Float[Tensor, "B F"]],
        present: Bool[Tensor, "B S"] | None = None,
    ) -> Float[Tensor, "B G"]:
        product = torch.ones((), device=streams[0].device, dtype=streams[0].dtype)
        for number, (dense, x) in enumerate(zip(self.dense, streams, strict=True)):
            factor, here = dense(x).tanh(), _column(present, number)
            product = product * (factor if here is None else factor.masked_fill(~here, 1.0))
        return product


class LowRankBilinear(nn.Module):
    """Bilinear form of two streams with matrices of low rank: ``(B, F_1), (B, F_2) -> (B, G)``.

    ``out[g] = x_1' W[g] x_2`` with ``W[g] = sum over r of u[r, g] v[r, g]'``, where each stream is
    extended by a constant 1, so that the form includes what each stream says alone. For more
    streams the form is multilinear. An absent stream is 1.

    Parameters
    ----------
    features
        Features of each stream.
    out_features
        Number of forms G.
    rank
        Largest rank of the matrices ``W[g]``.

    Notes
    -----
    Sum over ranks of products: Ben-younes et al., "MUTAN" (ICCV 2017), after Kim et al. (ICLR
    2017), whose form has rank 1; constant 1: Liu et al. (ACL 2018).
    """

    def __init__(self, features: Sequence[int], out_features: int, *, rank: int = 5) -> None:
        super().__init__()
        if rank < 1:
            raise ValueError(f"rank is {rank}, not above 0")
        self.dense = nn.ModuleList(nn.Linear(size, rank * out_features) for size in features)
        self.rank, self.out_features = rank, out_features

    def forward(
        self,
        streams: Sequence[Float[Tensor, "B F"]],
        present: Bool[Tensor, "B S"] | None = None,
    ) -> Float[Tensor, "B G"]:
        product = torch.ones((), device=streams[0].device, dtype=streams[0].dtype)
        for number, (dense, x) in enumerate(zip(self.dense, streams, strict=True)):
            factor, here = dense(x), _column(present, number)
            product = product * (factor if here is None else factor.masked_fill(~here, 1.0))
        return product.unflatten(1, (self.rank, self.out_features)).sum(dim=1)


class LateFusion(nn.Module):
    """Weighted mean of the streams' class probabilities: ``S x (B, K) logits -> (B, K)``.

    The result is the logarithm of the probabilities, which are valid logits: their softmax gives
    the probabilities. Absent streams are left out and the weights of the others are rescaled to sum
    to 1. A row without any stream gets equal probabilities.

    Parameters
    ----------
    classes
        Number of classes K.
    weights
        One positive number per stream; they are divided by their sum.
    learn
        Train the weights, starting at the given ones.

    Notes
    -----
    Fan et al. (ICMI 2016) use fixed weights.
    """

    logs: Tensor

    def __init__(self, classes: int, weights: Sequence[float], *, learn: bool = False) -> None:
        super().__init__()
        if not weights or min(weights) <= 0:
            raise ValueError(f"weights {list(weights)} are not all above 0")
        logs = torch.tensor(weights, dtype=torch.get_default_dtype()).log()
        if learn:
            self.logs = nn.Parameter(logs)
        else:
            self.register_buffer("logs", logs)
        self.out_features = classes

    def weights(self) -> Float[Tensor, " S"]:
        """The current weights, which sum to 1."""
        return self.logs.softmax(dim=0)

    def forward(
        self,
        streams: Sequence[Float[Tensor, "B K"]],
        present: Bool[Tensor, "B S"] | None = None,
    ) -> Float[Tensor, "B K"]:
        logs = torch.stack([x.log_softmax(dim=1) for x in streams], dim=1)
        weights = self.logs.expand(logs.shape[:2])
        if present is not None:
            weights = weights.masked_fill(~present, -1e4)
            logs = zero_padding(logs, present.unsqueeze(2))
        return (logs + weights.log_softmax(dim=1).unsqueeze(2)).logsumexp(dim=1).log_softmax(dim=1)


class Streams(nn.Module):
    """Several models of several inputs, fused: the multimodal CNN-RNN.

    Parameters
    ----------
    streams
        A model of each input, by name: ``(B, ...) -> (B, F_s)``, or logits for `LateFusion`. A
        stream that sets ``takes_mask``, such as `CnnRnn`, gets its input's mask.
    fusion
        `Concat`, `Multiply` or `LateFusion` of the streams in this order.
    head
        Head after the fusion, or None.
    """

    def __init__(
        self, streams: Mapping[str, nn.Module], fusion: nn.Module, head: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.streams = nn.ModuleDict(streams)
        self.fusion, self.head = fusion, head
        self.out_features = features_of(fusion if head is None else head)

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        masks: Mapping[str, Bool[Tensor, "B T"]] | None = None,
        present: Bool[Tensor, "B S"] | None = None,
    ) -> Float[Tensor, "B K"]:
        """Logits of a batch.

        Parameters
        ----------
        inputs
            A batch for each stream.
        masks
            Masks, True at real steps, of the inputs that have padding.
        present
            True where a row has a stream, in the order of the streams; None means all.
        """
        if inputs.keys() != self.streams.keys():
            raise ValueError(f"inputs are {list(inputs)}, streams are {list(self.streams)}")
        masks = masks or {}
        outputs = [
            with_mask(stream, inputs[name], masks.get(name))
            for name, stream in self.streams.items()
        ]
        fused = self.fusion(outputs, present)
        return fused if self.head is None else self.head(fused)


def _column(present: Bool[Tensor, "B S"] | None, number: int) -> Bool[Tensor, "B 1"] | None:
    return None if present is None else present[:, number : number + 1]
