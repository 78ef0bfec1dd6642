"""A masked recurrent layer with operators that every runtime has."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from danq.core import Recurrent
from danq.core.masks import reversed_steps


class ExportedRecurrent(nn.Module):
    """Replaces a `Recurrent` with sigmoid gates while a model with masks is exported.

    Each direction becomes a separate layer. The backward direction reads the real steps of each row
    in reverse order, so that padding follows them in both directions.
    """

    def __init__(self, layer: Recurrent) -> None:
        super().__init__()
        rnn = layer.rnn
        kind = nn.LSTM if isinstance(rnn, nn.LSTM) else nn.GRU
        self.directions = 2 if rnn.bidirectional else 1
        self.parts = nn.ModuleList()
        features = rnn.input_size
        for number in range(rnn.num_layers):
            for direction in range(self.directions):
                part = kind(features, rnn.hidden_size, batch_first=True)
                ending = f"_l{number}" + "_reverse" * direction
                with torch.no_grad():
                    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                        getattr(part, f"{name}_l0").copy_(getattr(rnn, name + ending))
                self.parts.append(part)
            features = rnn.hidden_size * self.directions

    def forward(
        self, x: Float[Tensor, "B T F"], mask: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "B T G"]:
        backward = reversed_steps(mask)
        for number in range(0, len(self.parts), self.directions):
            found = [self.parts[number](x)[0]]
            if self.directions == 2:
                turned = self.parts[number + 1](_reordered(x, backward))[0]
                found.append(_reordered(turned, backward))
            x = torch.cat(found, dim=2) * mask.unsqueeze(2)
        return x


def _reordered(x: Tensor, index: Tensor) -> Tensor:
    return x.gather(1, index.expand(-1, -1, x.shape[2]))
