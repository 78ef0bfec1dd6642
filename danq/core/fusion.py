"""Several streams into one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from danq.core.cnn_rnn import with_mask
from danq.core.masks import silent
from danq.core.sizes import features_of


class Concat(nn.Module):
    """Streams side by side: ``S x (B, F_s) -> (B, sum of F_s)``; an absent stream counts as 0."""

    def __init__(self, features: Sequence[int]) -> None:
        super().__init__()
        self.out_features = sum(features)

    def forward(
        self,
        streams: Sequence[Float[Tensor, "B F"]],
        present: Bool[Tensor, "B S"] | None = None,
    ) -> Float[Tensor, "B G"]:
        return torch.cat(
            [silent(x, _of(present, number)) for number, x in enumerate(streams)], dim=1
        )


class Multiply(nn.Module):
    """Product of the streams, each by a dense layer and tanh first: ``S x (B, F_s) -> (B, G)``.

    An absent stream counts as 1.

    Notes
    -----
    How Antol et al. (ICCV 2015) join an image and a question.
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
            factor, here = dense(x).tanh(), _of(present, number)
            product = product * (factor if here is None else factor.masked_fill(~here, 1.0))
        return product


class LateFusion(nn.Module):
    """Weighted mean of the streams' class probabilities: ``S x (B, K) logits -> (B, K)``.

    The result is the logarithm of a probability, which is its own logit. Absent streams are left
    out and the weights of the others grow in proportion; a row without a stream gets equal
    probabilities.

    Parameters
    ----------
    classes
        Number of classes K.
    weights
        One number above 0 a stream; they are divided by their sum.
    learn
        Train the weights, from those given, instead of keeping them.

    Notes
    -----
    The fixed weights of Fan et al. (ICMI 2016) are one instance.
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
        """The weights in use; their sum is 1."""
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
            logs = silent(logs, present.unsqueeze(2))
        return (logs + weights.log_softmax(dim=1).unsqueeze(2)).logsumexp(dim=1).log_softmax(dim=1)


class Streams(nn.Module):
    """Several models of several inputs, joined: the multimodal CNN-RNN.

    Parameters
    ----------
    streams
        A model of each input, by name: ``(B, ...) -> (B, F_s)``, or logits for `LateFusion`. A
        stream that says ``takes_mask``, such as `CnnRnn`, gets its input's mask.
    fusion
        ``Concat``, ``Multiply`` or ``LateFusion`` over the streams in that order.
    head
        After the fusion; None for nothing.
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
            True at real steps, for the inputs that have any padded.
        present
            True where a row has that stream, in the order of the streams; None means all.
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


def _of(present: Bool[Tensor, "B S"] | None, number: int) -> Bool[Tensor, "B 1"] | None:
    return None if present is None else present[:, number : number + 1]
