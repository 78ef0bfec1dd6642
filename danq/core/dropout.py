"""Dropout that does not wait for random numbers."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from danq.core import _dropout_kernels as kernels
from danq.core._bfloat16 import as_array


class _Drop(torch.autograd.Function):
    """Dropout on the CPU; backward draws the same numbers again."""

    @staticmethod
    def forward(ctx, x: Tensor, p: float, seed: int) -> Tensor:
        ctx.p, ctx.seed = p, seed
        return _drop(x, p, seed)

    @staticmethod
    def backward(ctx, grad: Tensor):  # type: ignore[override]
        return _Drop.apply(grad, ctx.p, ctx.seed), None, None


def _drop(x: Tensor, p: float, seed: int) -> Tensor:
    x = x.contiguous()
    out = torch.empty_like(x)
    rows = x.shape[0]
    kernels.drop(
        as_array(x.view(rows, -1)),
        as_array(out.view(rows, -1)),
        seed,
        min(round(p * 2**32), 2**32 - 1),
        torch.tensor(1 / (1 - p)).numpy()[()],
    )
    return out


class Dropout(nn.Dropout):
    """Zeros at random places while training, the rest scaled by ``1 / (1 - p)``: any shape.

    On the CPU, torch draws one number after another. Here the number of a place is a function of
    the place and of one seed, drawn from torch's own generator, so that all cores draw at once
    and backward needs no mask. Elsewhere torch's own layer works.

    Notes
    -----
    Srivastava et al., Journal of Machine Learning Research 2014.
    """

    def forward(self, input: Float[Tensor, "B ..."]) -> Float[Tensor, "B ..."]:
        here = input.device.type == "cpu" and input.dtype in (torch.float32, torch.bfloat16)
        if not self.training or not 0 < self.p < 1 or not here or not input.numel():
            return super().forward(input)
        if torch.compiler.is_compiling():
            return super().forward(input)
        seed = int(torch.randint(2**62, ()))
        return _Drop.apply(input, self.p, seed)  # type: ignore[no-any-return]
