"""A CNN-RNN that reads a segment of several windows at once."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from danq.core.cnn_rnn import CnnRnn
from danq.core.heads import MultiLabel
from danq.core.pooling import Flatten


class SegmentCnnRnn(CnnRnn):
    """A CNN-RNN with the same parameters, which also takes inputs of several windows.

    The encoder and the temporal layer run once over a segment; the dense layers run once for each
    window. The windows overlap, so this takes a fraction of the time of single windows. The
    temporal layer reads beyond the ends of a window where the segment continues, and nowhere else
    do logits differ from those of single windows.

    Parameters
    ----------
    module
        The model of a single window, whose layers are used. Its pooling is a `Flatten` layer and
        its head a `MultiLabel` layer with a dense layer. The weights of the steps of the margin
        become 0, and stay so: ``module`` does not read these steps either.
    spacing
        Steps of the encoder from one window to the next.
    margin
        Steps at each end of a window that the dense layers do not read.

    Raises
    ------
    ValueError
        When the module has other layers, or the margins leave no step.
    """

    def __init__(self, module: CnnRnn, spacing: int, margin: int = 0) -> None:
        super().__init__(module.encoder, module.temporal, module.pooling, module.head)
        self.encoder_dropout = module.encoder_dropout
        self.temporal_dropout = module.temporal_dropout
        if not isinstance(self.pooling, Flatten) or not isinstance(self.head, MultiLabel):
            raise ValueError("segments need the pooling Flatten and the head MultiLabel")
        body = list(self.head.body)  # type: ignore[arg-type]
        dense = [number for number, layer in enumerate(body) if isinstance(layer, nn.Linear)]
        if not dense:
            raise ValueError("segments need a dense layer")
        if 2 * margin >= self.pooling.steps:
            raise ValueError(f"margins of {margin} of {self.pooling.steps} steps leave no step")
        self.spacing, self.margin = spacing, margin
        self._dense = dense[0]
        first = body[self._dense]
        self._features = first.in_features // self.pooling.steps
        with torch.no_grad():
            weight = first.weight.unflatten(1, (self.pooling.steps, self._features))
            weight[:, :margin] = 0
            weight[:, self.pooling.steps - margin :] = 0

    def forward(
        self, x: Shaped[Tensor, "B ..."], mask: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B ... K"]:
        """Logits ``(B, K)`` of single windows, or ``(B, N, K)`` of segments of N windows."""
        steps = self.features(x, mask)
        assert isinstance(self.pooling, Flatten)
        assert isinstance(self.head, MultiLabel)
        further, rest = divmod(steps.shape[1] - self.pooling.steps, self.spacing)
        if rest or further < 0:
            raise ValueError(f"{steps.shape[1]} steps are no whole number of windows")
        read = slice(self.margin, steps.shape[1] - self.margin)
        count = self.pooling.steps - 2 * self.margin
        windows = steps[:, read].unfold(1, count, self.spacing).transpose(2, 3).flatten(2)
        columns = slice(self.margin * self._features, (self.margin + count) * self._features)
        values = windows.flatten(0, 1)
        for number, layer in enumerate(self.head.body):  # type: ignore[arg-type]
            if number == self._dense:
                values = F.linear(values, layer.weight[:, columns], layer.bias)
            else:
                values = layer(values)
        logits = self.head.output(values).unflatten(0, (len(x), further + 1))
        return logits if further else logits[:, 0]
