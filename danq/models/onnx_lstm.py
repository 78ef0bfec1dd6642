"""The LSTM with hard gates as ONNX's LSTM operator."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from danq.core.hard_lstm import HardLstm


class OnnxHardLstm(nn.Module):
    """Replaces a `HardLstm` while torch traces the model for ONNX; computes shapes, not values.

    The result has one ``LSTM`` operator per direction; tracing the layer would unroll all steps.
    """

    def __init__(self, layer: HardLstm) -> None:
        super().__init__()
        self.reverse = [False]
        if layer.bidirectional:
            self.reverse.append(layer.second_direction == "backward")
        self.hidden = layer.hidden_size
        for number in range(len(self.reverse)):
            ending = "_reverse" if number else ""
            for kind in ("weight", "bias"):
                parts = [getattr(layer, f"{kind}_{of}_l0{ending}").detach() for of in ("ih", "hh")]
                for of, part in zip(("ih", "hh"), parts, strict=True):
                    self.register_buffer(f"{kind}_{of}_{number}", _reordered(part))

    def forward(self, x: Float[Tensor, "B T F"], mask: None = None) -> tuple[Tensor, None]:
        steps = x.transpose(0, 1)
        parts = []
        for number, reverse in enumerate(self.reverse):
            w, r, b, c = (
                getattr(self, f"{name}_{number}")
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            bias = torch.cat([b, c])[None]
            parts.append(_Operator.apply(steps, w[None], r[None], bias, self.hidden, reverse))
        return torch.cat(parts, dim=3)[:, 0].transpose(0, 1), None


def _reordered(value: Tensor) -> Tensor:
    """Reorder the gates from torch's i, f, g, o to ONNX's i, o, f, g."""
    i, f, g, o = value.chunk(4)
    return torch.cat([i, o, f, g])


class _Operator(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, recurrent, bias, hidden: int, reverse: bool):
        return x.new_zeros(x.shape[0], 1, x.shape[1], hidden)

    @staticmethod
    def symbolic(g, x, weight, recurrent, bias, hidden: int, reverse: bool):
        return g.op(
            "LSTM",
            x,
            weight,
            recurrent,
            bias,
            hidden_size_i=hidden,
            direction_s="reverse" if reverse else "forward",
            activations_s=["HardSigmoid", "Tanh", "Tanh"],
            activation_alpha_f=[0.2],
            activation_beta_f=[0.5],
        )
