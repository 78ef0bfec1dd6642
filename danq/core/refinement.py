"""Iterative refinement: a network that reads its own previous output."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


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

    Notes
    -----
    Pinheiro & Collobert, "Recurrent convolutional neural networks for scene labeling", ICML 2014.
    """

    def __init__(self, network: nn.Module, classes: int, steps: int) -> None:
        super().__init__()
        self.network, self.steps = network, steps
        self.out_features = classes

    def forward(
        self, x: Float[Tensor, "B C H W"], steps: int | None = None
    ) -> Float[Tensor, "B S K H W"]:
        labels = x.new_zeros(len(x), self.out_features, *x.shape[2:])
        answers: list[Tensor] = []
        for _ in range(self.steps if steps is None else steps):
            logits = self.network(torch.cat([x, labels], dim=1))
            if logits.shape != labels.shape:
                raise ValueError(
                    f"the network gives maps of shape {tuple(logits.shape)}, "
                    f"not {tuple(labels.shape)}"
                )
            answers.append(logits)
            labels = logits.softmax(dim=1)
        return torch.stack(answers, dim=1)
