"""Dropout whose masks do not depend on the number of threads or processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from danq.core import _dropout_kernels as kernels
from danq.core._bfloat16 import as_array


class _Share(NamedTuple):
    """The examples of a batch that this process computes."""

    examples: range
    batch: int


_share: ContextVar[_Share | None] = ContextVar("share of a batch", default=None)


@contextmanager
def share_of_batch(examples: range, batch: int) -> Iterator[None]:
    """Compute some examples of a batch; other processes compute the others.

    Every process draws its masks from the same random seed. In this context, `Dropout` and
    `TorchDropout` give an example the mask that it has where one process computes the whole batch.

    Parameters
    ----------
    examples
        Indices of the examples in the batch, in the order of the inputs' first dimension.
    batch
        Examples of the whole batch.
    """
    token = _share.set(_Share(examples, batch))
    try:
        yield
    finally:
        _share.reset(token)


class TorchDropout(nn.Dropout):
    """Torch's dropout, with masks that do not depend on the number of processes.

    Each of several processes draws the mask of the whole batch and uses its own rows.
    """

    def forward(self, input: Float[Tensor, "B ..."]) -> Float[Tensor, "B ..."]:
        share = _share.get() if self.training else None
        if share is None or len(share.examples) == share.batch:
            return super().forward(input)
        rows, total = _rows_in_batch(len(input), share)
        # Random numbers are drawn in the order of memory.
        order = sorted(range(input.dim()), key=lambda axis: -input.stride(axis))
        whole = torch.empty_permuted(
            (total, *input.shape[1:]), order, dtype=input.dtype, device=input.device
        )
        mask = F.dropout(whole.fill_(1), self.p)
        return input * mask[torch.from_numpy(rows).to(input.device)]


class Dropout(TorchDropout):
    """Set random values to 0 in training and scale the others by ``1 / (1 - p)``; any shape.

    On the CPU, torch draws one random number after another. Here, the random number of a value is
    a function of its position and of one random seed from torch's generator. All cores draw at
    once, and the backward pass needs no stored mask. On other devices this is torch's own layer.

    Notes
    -----
    Srivastava et al., Journal of Machine Learning Research 2014.
    """

    def forward(self, input: Float[Tensor, "B ..."]) -> Float[Tensor, "B ..."]:
        fused = (
            input.device.type == "cpu"
            and input.dtype in (torch.float32, torch.bfloat16)
            and input.numel() > 0
            and not torch.compiler.is_compiling()
        )
        if not self.training or not 0 < self.p < 1 or not fused:
            return super().forward(input)
        rows, _ = _rows_in_batch(len(input), _share.get())
        seed = int(torch.randint(2**62, ()))
        return _Drop.apply(input, self.p, seed, rows)  # type: ignore[no-any-return]


class _Drop(torch.autograd.Function):
    """Dropout on the CPU; the backward pass draws the same random numbers again."""

    @staticmethod
    def forward(ctx, x: Tensor, p: float, seed: int, rows: Int64[np.ndarray, "N"]) -> Tensor:
        ctx.p, ctx.seed, ctx.rows = p, seed, rows
        return _drop(x, p, seed, rows)

    @staticmethod
    def backward(ctx, grad: Tensor):  # type: ignore[override]
        return _Drop.apply(grad, ctx.p, ctx.seed, ctx.rows), None, None, None


def _drop(x: Tensor, p: float, seed: int, rows: Int64[np.ndarray, "N"]) -> Tensor:
    x = x.contiguous()
    out = torch.empty_like(x)
    kernels.drop(
        as_array(x.view(len(x), -1)),
        as_array(out.view(len(x), -1)),
        rows,
        seed,
        min(round(p * 2**32), 2**32 - 1),
        torch.tensor(1 / (1 - p)).numpy()[()],
    )
    return out


def _rows_in_batch(count: int, share: _Share | None) -> tuple[Int64[np.ndarray, "N"], int]:
    """Index of every row in the input of the whole batch, and that input's number of rows.

    An example may have several rows, such as the frames of a video. Where the number of rows is
    no multiple of the number of examples, the rows count as the first ones of the batch.
    """
    rows = np.arange(count)
    if share is None or count % len(share.examples):
        return rows, count
    each = count // len(share.examples)
    return np.array(share.examples)[rows // each] * each + rows % each, share.batch * each
