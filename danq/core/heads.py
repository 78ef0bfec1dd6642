"""Heads: features to logits, values or embeddings."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from danq.core.block_interface import features_of, with_mask
from danq.core.dropout import TorchDropout
from danq.core.masks import zero_padding


class Mlp(nn.Sequential):
    """Dense layers, each with ReLU and dropout: ``(B, in_features) -> (B, hidden[-1])``.

    Without layers the output is the input, after its dropout.

    Parameters
    ----------
    in_features
        Features of the input.
    hidden
        Units of each layer.
    dropout
        Dropout after each layer.
    input_dropout
        Dropout of the input.
    """

    def __init__(
        self,
        in_features: int,
        hidden: Sequence[int],
        *,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
    ) -> None:
        layers: list[nn.Module] = [TorchDropout(input_dropout)] if input_dropout else []
        features = in_features
        for size in hidden:
            layers += [nn.Linear(features, size), nn.ReLU()]
            if dropout:
                layers.append(TorchDropout(dropout))
            features = size
        super().__init__(*layers)
        self.out_features = features


class MultiLabel(nn.Module):
    """One independent logit per label: ``(B, F) -> (B, K)``.

    Parameters
    ----------
    body
        Module with ``out_features`` before the last dense layer, such as `Mlp`.
    labels
        Number of labels K.
    """

    def __init__(self, body: nn.Module, labels: int) -> None:
        super().__init__()
        self.body = body
        self.output = nn.Linear(features_of(body), labels)
        self.out_features = labels

    def forward(self, x: Float[Tensor, "B F"]) -> Float[Tensor, "B K"]:
        return self.output(self.body(x))


class Classes(MultiLabel):
    """One logit per class of mutually exclusive classes: ``(B, F) -> (B, K)``.

    Softmax gives the probabilities; the loss is cross-entropy. The parameters are those of
    `MultiLabel`.
    """


class PerStep(nn.Module):
    """The same dense layers at every step: ``(B, T, F) -> (B, T, K)``; padded steps give 0.

    The loss defines the meaning of the K outputs: classes of a step (`step_cross_entropy`), symbols
    and a blank (`ctc_loss`), or values (`step_regression`).

    Parameters
    ----------
    body
        Module with ``out_features`` that reads the last dimension, such as `Mlp`.
    outputs
        Number of outputs K per step.
    """

    takes_mask = True

    def __init__(self, body: nn.Module, outputs: int) -> None:
        super().__init__()
        self.body = body
        self.output = nn.Linear(features_of(body), outputs)
        self.out_features = outputs

    def forward(
        self, x: Float[Tensor, "B T F"], mask: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T K"]:
        return zero_padding(self.output(self.body(x)), None if mask is None else mask.unsqueeze(2))


class Vote(PerStep):
    """Class probabilities of the steps, averaged over real steps: ``(B, T, F) -> (B, K)``.

    The result is the logarithm of the probabilities, which are valid logits: their softmax gives
    the probabilities. The parameters are those of `PerStep`.

    Notes
    -----
    LRCN combines the frames of a video in this way (Donahue et al., CVPR 2015).
    """

    def forward(
        self, x: Float[Tensor, "B T F"], mask: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B K"]:
        logs = self.output(self.body(x)).log_softmax(dim=2)
        if mask is None:
            return logs.logsumexp(dim=1) - math.log(logs.shape[1])
        steps = mask.sum(dim=1, keepdim=True).clamp(min=1)
        # A finite value in place of log 0, so that rows without a real step stay finite.
        return logs.masked_fill(~mask.unsqueeze(2), -1e4).logsumexp(dim=1) - steps.log()


class Profiles(nn.Module):
    """Profiles along the sequence and their totals: ``(B, T, F) -> (B, K S + K)``.

    The outputs are the logits of the S steps of each profile, profile after profile, then
    ``log(1 + total)`` of each profile. The losses are `multinomial_loss` and `total_count_loss`.

    Parameters
    ----------
    in_features
        Features F of a step.
    profiles
        Number of profiles K.
    steps
        Steps S of a profile.
    first
        Position of the first step's centre among the T steps of the input, where 0 is the centre of
        the first one. Features between two steps are interpolated; those before the first or after
        the last step are equal to theirs.
    spacing
        Steps of the input from one step of the profile to the next.

    Notes
    -----
    Profiles and totals as in BPNet (Avsec et al., Nature Genetics 2021), but a total is computed
    from the mean of the features at the steps of the profile, not at all steps of the window.
    """

    def __init__(
        self,
        in_features: int,
        profiles: int,
        steps: int,
        *,
        first: float = 0.0,
        spacing: float = 1.0,
    ) -> None:
        super().__init__()
        self.output = nn.Linear(in_features, profiles)
        self.totals = nn.Linear(in_features, profiles)
        self.steps, self.first, self.spacing = steps, first, spacing
        self.out_features = profiles * (steps + 1)

    def forward(self, x: Float[Tensor, "B T F"]) -> Float[Tensor, "B O"]:
        position = torch.arange(self.steps, device=x.device) * self.spacing + self.first
        position = position.clamp(0, x.shape[1] - 1)
        before = position.floor().long()
        after = (before + 1).clamp(max=x.shape[1] - 1)
        share = (position - before).to(x.dtype).unsqueeze(1)
        steps = torch.lerp(x[:, before], x[:, after], share)
        profile, totals = self.output(steps), self.totals(steps.mean(dim=1))
        return torch.cat([profile.transpose(1, 2).flatten(1), totals], dim=1)


class Pooled(nn.Module):
    """A pooling layer and a head after it, as one head: ``(B, T, F) -> (B, K)``.

    Parameters
    ----------
    pooling
        ``(B, T, F) -> (B, G)``.
    head
        ``(B, G) -> (B, K)``.
    """

    takes_mask = True

    def __init__(self, pooling: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.pooling, self.head = pooling, head
        self.out_features = features_of(head)

    def forward(
        self, x: Float[Tensor, "B T F"], mask: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B K"]:
        return self.head(self.pooling(x, mask))


class JointHeads(nn.Module):
    """Several heads on the same input, with their outputs one after another.

    Parameters
    ----------
    heads
        Modules with ``out_features`` whose output is ``(B, K)``.
    """

    takes_mask = True

    def __init__(self, heads: Sequence[nn.Module]) -> None:
        super().__init__()
        self.heads = nn.ModuleList(heads)
        self.out_features = sum(features_of(head) for head in heads)

    def forward(
        self, x: Float[Tensor, "B ..."], mask: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B K"]:
        return torch.cat([with_mask(head, x, mask) for head in self.heads], dim=1)


class DensePixel(nn.Module):
    """K logits at every pixel: ``(..., F, h, w) -> (..., K, scale h, scale w)``.

    A 1 x 1 convolution, then bilinear interpolation if ``scale`` is above 1. The input is a batch
    of images or of clips.
    """

    def __init__(self, in_features: int, outputs: int, *, scale: int = 1) -> None:
        super().__init__()
        self.output = nn.Conv2d(in_features, outputs, 1)
        self.scale = scale
        self.out_features = outputs

    def forward(self, x: Float[Tensor, "... F h w"]) -> Float[Tensor, "... K H W"]:
        y = self.output(x.flatten(0, -4))
        if self.scale > 1:
            y = nn.functional.interpolate(y, scale_factor=self.scale, mode="bilinear")
        return y.unflatten(0, x.shape[:-3])


class Embedding(nn.Module):
    """An embedding whose distances measure similarity: ``(B, F) -> (B, E)``.

    Parameters
    ----------
    body
        Module with ``out_features`` before the last dense layer, such as `Mlp`.
    size
        Number of coordinates E.
    normalise
        Scale each embedding to length 1.

    The losses are `triplet_loss` and `contrastive_loss`. For an additional identity loss, add a
    `Classes` head on the embedding.
    """

    def __init__(self, body: nn.Module, size: int, *, normalise: bool = True) -> None:
        super().__init__()
        self.body = body
        self.output = nn.Linear(features_of(body), size)
        self.normalise = normalise
        self.out_features = size

    def forward(self, x: Float[Tensor, "B F"]) -> Float[Tensor, "B E"]:
        y = self.output(self.body(x))
        return nn.functional.normalize(y, dim=1) if self.normalise else y
