"""From features to logits."""

from __future__ import annotations

import math
from collections.abc import Sequence

from jaxtyping import Bool, Float
from torch import Tensor, nn

from danq.core.masks import silent
from danq.core.sizes import features_of


class Mlp(nn.Sequential):
    """Dense layers, each with ReLU and dropout: ``(B, in_features) -> (B, hidden[-1])``.

    Without a layer it gives its input.
    """

    def __init__(self, in_features: int, hidden: Sequence[int], *, dropout: float = 0.0) -> None:
        layers: list[nn.Module] = []
        features = in_features
        for size in hidden:
            layers += [nn.Linear(features, size), nn.ReLU()]
            if dropout:
                layers.append(nn.Dropout(dropout))
            features = size
        super().__init__(*layers)
        self.out_features = features


class MultiLabel(nn.Module):
    """One independent logit per label: ``(B, F) -> (B, K)``.

    Parameters
    ----------
    body
        Module with ``out_features``, such as `Mlp`, that comes before the last dense layer.
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
    """One logit per class, of which one is right: ``(B, F) -> (B, K)``.

    Their softmax gives the probabilities, so that cross-entropy is the loss. Parameters are those
    of `MultiLabel`.
    """


class PerStep(nn.Module):
    """The same dense layers at every step: ``(B, T, F) -> (B, T, K)``; padded steps give 0.

    What the K outputs mean is the loss's affair: classes of a step (`step_cross_entropy`), symbols
    and a blank (`ctc_loss`), values (`step_regression`).

    Parameters
    ----------
    body
        Module with ``out_features`` that reads the last dimension, such as `Mlp`.
    outputs
        Number of outputs K of a step.
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
        return silent(self.output(self.body(x)), None if mask is None else mask.unsqueeze(2))


class Vote(PerStep):
    """The steps' class probabilities, averaged over real steps: ``(B, T, F) -> (B, K)``.

    The result is the logarithm of a probability, which is its own logit: softmax leaves it as it
    is, and cross-entropy takes it. Parameters are those of `PerStep`.

    Notes
    -----
    How LRCN joins the frames of a video (Donahue et al., CVPR 2015).
    """

    def forward(
        self, x: Float[Tensor, "B T F"], mask: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B K"]:
        logs = self.output(self.body(x)).log_softmax(dim=2)
        if mask is None:
            return logs.logsumexp(dim=1) - math.log(logs.shape[1])
        steps = mask.sum(dim=1, keepdim=True).clamp(min=1)
        # A finite stand-in for the logarithm of 0: rows without a real step have to stay finite.
        return logs.masked_fill(~mask.unsqueeze(2), -1e4).logsumexp(dim=1) - steps.log()


class DensePixel(nn.Module):
    """K logits at every pixel: ``(..., F, h, w) -> (..., K, scale h, scale w)``.

    A 1 x 1 convolution, then bilinear interpolation where ``scale`` is above 1. Images and clips
    go alike.
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
