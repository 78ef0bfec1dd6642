"""Dense layers on a CUDA device, padded to sizes for which matrix products are fast."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

MULTIPLE = 64
"""Output features are padded to a multiple of it. DanQ has 925, not even a multiple of 8."""

ALIGNED = 8
"""Input features of the first layer are padded to a multiple of it: 16 bytes in bfloat16."""


class PaddedWeights:
    """Weights and bias of a dense layer in the type of its products, padded with zeros.

    Attributes
    ----------
    weight
        ``(outputs, inputs)``, both padded.
    bias
        ``(outputs,)``.
    """

    def __init__(self, plain: nn.Linear, inputs: int, dtype: torch.dtype) -> None:
        self.plain = plain
        outputs = _padded(plain.out_features, MULTIPLE)
        device = plain.weight.device
        self.weight = torch.zeros(outputs, inputs, dtype=dtype, device=device)
        self.bias = torch.zeros(outputs, dtype=dtype, device=device)
        self.pack()

    @torch.no_grad()
    def pack(self) -> None:
        """Copy the current parameters of the layer."""
        plain = self.plain
        self.weight[: plain.out_features, : plain.in_features] = plain.weight
        self.bias[: plain.out_features] = plain.bias


class PaddedDense(nn.Module):
    """Dense layers with the modules between them: ``(B, F) -> (B, K)``.

    Features between the layers stay padded; those that are added are 0.

    Parameters
    ----------
    layers
        Dense layers, ReLU and dropout; the parameters of the dense layers are used.
    dtype
        Type of products and activations.
    fixed
        Whether the parameters never change, so that they are converted once; without gradients.
    """

    def __init__(self, layers: list[nn.Module], dtype: torch.dtype, *, fixed: bool = False) -> None:
        super().__init__()
        self.layers, self.dtype, self.fixed = nn.ModuleList(layers), dtype, fixed
        dense = [layer for layer in layers if isinstance(layer, nn.Linear)]
        self.in_features = size = _padded(dense[0].in_features, ALIGNED)
        self.out_features = dense[-1].out_features
        self.weights: list[PaddedWeights | None] = []
        for layer in layers:
            weights = PaddedWeights(layer, size, dtype) if isinstance(layer, nn.Linear) else None
            size = size if weights is None else len(weights.weight)
            self.weights.append(weights)

    def forward(self, x: Float[Tensor, "B F"]) -> Float[Tensor, "B K"]:
        """Outputs of the last layer."""
        with torch.autocast(x.device.type, enabled=False):
            x = x.to(self.dtype)
            if x.shape[1] < self.in_features:
                x = F.pad(x, (0, self.in_features - x.shape[1]))
            for layer, weights in zip(self.layers, self.weights, strict=True):
                if weights is None:
                    x = layer(x)
                elif self.fixed:
                    x = torch.addmm(weights.bias, x, weights.weight.t())
                else:
                    weights.pack()
                    x = _Dense.apply(x, layer.weight, layer.bias, weights)
        return x[:, : self.out_features]


class _Dense(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor, weights: PaddedWeights):
        ctx.save_for_backward(x)
        ctx.weights = weights
        return torch.addmm(weights.bias, x, weights.weight.t())

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):  # type: ignore[override]
        (x,) = ctx.saved_tensors
        weights, plain = ctx.weights, ctx.weights.plain
        with torch.autocast(grad.device.type, enabled=False):
            x_grad = grad @ weights.weight if ctx.needs_input_grad[0] else None
            weight_grad = (grad.t() @ x)[: plain.out_features, : plain.in_features]
            bias_grad = grad.sum(dim=0, dtype=torch.float32)[: plain.out_features]
        return x_grad, weight_grad.to(plain.weight.dtype), bias_grad, None


def _padded(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple
