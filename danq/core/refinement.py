"""Iterative refinement: a network that reads its own previous output."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from danq.core.masks import zero_padding


class Refine(nn.Module):
    """Label maps refined in several steps: ``(B, C, H, W) -> (B, S, K, H, W)`` logits per step.

    At every step the same network reads the image and its own class probabilities of the previous
    step (zeros at the first). The loss counts every step.

    Parameters
    ----------
    network
        ``(B, C + K, H, W) -> (B, K, H, W)``, such as a 2-D `ConvEncoder` that keeps the size,
        followed by a `DensePixel`.
    classes
        Number of classes K.
    steps
        Default number of steps S. All steps share the same weights.
    scales
        Scale of the image at each step, such as ``(0.5, 1)``. The network then reads the image and
        the probabilities at this scale, and its logits are resized to the size of the image, so
        that a step at a small scale has a wide context. None is 1 at every step.

    Notes
    -----
    Pinheiro & Collobert, "Recurrent convolutional neural networks for scene labeling", ICML 2014.
    There each step reads the image at the smaller size of the maps of the step before, and shifted
    images give maps of full size; here scales are free.
    """

    def __init__(
        self, network: nn.Module, classes: int, steps: int, *, scales: Sequence[float] | None = None
    ) -> None:
        super().__init__()
        if scales is not None and (len(scales) != steps or min(scales) <= 0):
            raise ValueError(f"scales are {tuple(scales)}, not {steps} positive numbers")
        self.network, self.steps = network, steps
        self.scales = None if scales is None else tuple(scales)
        self.out_features = classes

    def forward(
        self,
        x: Float[Tensor, "B C H W"],
        steps: int | None = None,
        labels: Float[Tensor, "B K H W"] | None = None,
    ) -> Float[Tensor, "B S K H W"]:
        """Logits of each step.

        Parameters
        ----------
        x
            Images.
        steps
            Number of steps, at most the number of scales if there are any.
        labels
            Class probabilities that the first step reads, zeros if None.
        """
        if labels is None:
            labels = x.new_zeros(len(x), self.out_features, *x.shape[2:])
        steps = self.steps if steps is None else steps
        answers: list[Tensor] = []
        for scale in (self.scales or (1.0,) * steps)[:steps]:
            both = torch.cat([x, labels], dim=1)
            read = _resized(both, [max(1, round(n * scale)) for n in x.shape[2:]])
            logits = self.network(read)
            if logits.shape != (*labels.shape[:2], *read.shape[2:]):
                raise ValueError(
                    f"the network gives maps of shape {tuple(logits.shape)}, "
                    f"not {(*labels.shape[:2], *read.shape[2:])}"
                )
            answers.append(_resized(logits, x.shape[2:]))
            labels = answers[-1].softmax(dim=1)
        return torch.stack(answers, dim=1)


class ClipRefine(nn.Module):
    """Label maps of the frames of a clip: ``(B, T, C, H, W) -> (B, T, S, K, H, W)`` logits.

    The first step of a frame reads the class probabilities of the last step of the frame before.

    Parameters
    ----------
    refine
        Refinement of a frame.
    recurrent
        Whether frames are connected; otherwise the first step of each frame reads zeros.
    """

    takes_mask = True

    def __init__(self, refine: Refine, *, recurrent: bool = True) -> None:
        super().__init__()
        self.refine, self.recurrent = refine, recurrent
        self.out_features = refine.out_features

    def forward(
        self, x: Float[Tensor, "B T C H W"], mask: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T S K H W"]:
        """Logits of each frame and step; padding gives 0 and does not affect real frames."""
        labels: Tensor | None = None
        frames: list[Tensor] = []
        for number, frame in enumerate(x.unbind(dim=1)):
            frames.append(self.refine(frame, labels=labels))
            if self.recurrent:
                seen = frames[-1][:, -1].softmax(dim=1)
                if mask is not None:
                    before = torch.zeros_like(seen) if labels is None else labels
                    seen = torch.where(mask[:, number, None, None, None], seen, before)
                labels = seen
        out = torch.stack(frames, dim=1)
        return zero_padding(out, None if mask is None else mask[:, :, None, None, None, None])


def _resized(x: Float[Tensor, "B F H W"], size: Sequence[int]) -> Float[Tensor, "B F h w"]:
    """Means of the pixels for a smaller size, interpolation for a larger one."""
    if tuple(x.shape[2:]) == tuple(size):
        return x
    if size[0] <= x.shape[2] and size[1] <= x.shape[3]:
        return F.interpolate(x, tuple(size), mode="area")
    return F.interpolate(x, tuple(size), mode="bilinear", align_corners=False)
