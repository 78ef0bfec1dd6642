"""The first layer on a CUDA device: convolution of codes, ReLU and max-pool in one kernel."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from danq.core import OneHotConv
from danq.core.one_hot_conv import bias_with_nan
from danq.gpu.launch import launch

TILE_VALUES = 16_384
"""Values of a one-hot block: 32 kB in bfloat16, so that it fits into a card's shared memory."""

BLOCK = 64
"""Filters per product."""

WARPS = 8
PROGRAMS_PER_PROCESSOR = 4


class ConvLayout(NamedTuple):
    """Constants of a layer and of its tiles; a kernel is compiled for each combination."""

    length: int
    """Bases of a window."""
    steps: int
    """Pooled steps of a window."""
    width: int
    width_rows: int
    """The width of a filter, rounded up to a power of two."""
    pool: int
    pool_rows: int
    """The pool, rounded up to a power of two."""
    filters: int
    columns: int
    """The filters, rounded up to a multiple of ``block``."""
    tile: int
    """Pooled steps per tile."""
    block: int
    """Filters per product."""
    unknown: float
    """Value of the four channels at code 4."""
    rectify: bool
    """Whether negative values become 0."""
    train: bool
    """Whether the winners of the pool windows are stored."""
    parts: int
    """Terms that a factor of a product is split into: 3 of bfloat16 add up to a float32."""


def why_not(layer: OneHotConv) -> str | None:
    """Why the kernels cannot compute a layer; None where they can."""
    width, pool = _rows(layer)
    if 4 * width * pool > TILE_VALUES:
        return f"filters of width {layer.width} with a pool of {layer.pool} are too large for it"
    return None


def _rows(layer: OneHotConv) -> tuple[int, int]:
    """Width and pool, rounded up to what products can have."""
    return max(4, _power(layer.width)), _power(layer.pool)


def _power(number: int) -> int:
    """The smallest power of two that is not smaller."""
    return 1 << (number - 1).bit_length()


class FusedConv(nn.Module):
    """`OneHotConv` of codes ``(B, L) -> (B, T, F)``; nothing is stored before it is pooled.

    Parameters
    ----------
    plain
        The layer whose parameters are used; soft one-hot channels are passed to it.
    dtype
        Type of the outputs: bfloat16, with weights rounded to it, or float32, with products as
        exact as in float32.
    fixed
        Whether the parameters never change, so that they are converted once.
    """

    def __init__(self, plain: OneHotConv, dtype: torch.dtype, *, fixed: bool = False) -> None:
        super().__init__()
        self.plain, self.dtype, self.fixed = plain, dtype, fixed
        self.out_features = plain.out_features
        self.filters = PackedFilters(plain, dtype)

    def forward(self, x: UInt8[Tensor, "B L"] | Float[Tensor, "B 4 L"]) -> Float[Tensor, "B T F"]:
        """Pooled activations of codes or of soft one-hot channels."""
        if x.dim() == 3 or self.plain.steps(x.shape[-1]) < 1:
            return self.plain(x)
        if not self.fixed:
            self.filters.pack()
        weight, bias = self.plain.weight, self.plain.bias
        # Within the function below, torch does not show whether gradients are computed.
        train = torch.is_grad_enabled() and (weight.requires_grad or bias.requires_grad)
        layout = self.filters.layout(x.shape[1], train=train)
        return _PooledConv.apply(x.contiguous(), weight, bias, self.filters, layout)  # type: ignore[no-any-return]


class PackedFilters:
    """Filters of a layer in the layout and type that the kernels read.

    Attributes
    ----------
    weights
        ``(parts, 4 * width, filters)``, with the width and the number of filters rounded up. Three
        parts add up to weights in float32; one part is rounded.
    bias
        ``(filters,)`` float32; NaN for a filter with a weight that is not finite.
    """

    def __init__(self, plain: OneHotConv, dtype: torch.dtype) -> None:
        self.plain, self.dtype = plain, dtype
        device = plain.weight.device
        # The interpreter of Triton, on a CPU, computes products of bfloat16 wrongly.
        self.product = torch.bfloat16 if device.type == "cuda" else torch.float32
        self.parts = 3 if dtype == torch.float32 else 1
        self.width, self.pool = _rows(plain)
        self.columns = -(-plain.out_features // BLOCK) * BLOCK
        self.weights = torch.zeros(
            self.parts, 4 * self.width, self.columns, dtype=self.product, device=device
        )
        self.bias = torch.zeros(self.columns, device=device)
        self.pack()

    @torch.no_grad()
    def pack(self) -> None:
        """Copy the current parameters of the layer."""
        plain = self.plain
        rows, filters = 4 * plain.width, plain.out_features
        rest = plain.weight.detach().float().permute(2, 1, 0).reshape(rows, filters)
        for part in self.weights:
            term = rest.to(torch.bfloat16)
            part[:rows, :filters] = term
            rest = rest - term.float()
        self.bias[:filters] = bias_with_nan(plain.weight, plain.bias)

    def layout(self, length: int, *, train: bool) -> ConvLayout:
        """Constants of the kernels for windows of a length."""
        plain = self.plain
        return ConvLayout(
            length=length,
            steps=plain.steps(length),
            width=plain.width,
            width_rows=self.width,
            pool=plain.pool,
            pool_rows=self.pool,
            filters=plain.out_features,
            columns=self.columns,
            # Products have at least 16 rows.
            tile=max(1, min(TILE_VALUES // (4 * self.width), 128) // self.pool),
            block=BLOCK,
            unknown=plain.unknown,
            rectify=plain.activation == "relu",
            train=train,
            parts=self.parts,
        )


class _PooledConv(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx, codes: Tensor, weight: Tensor, bias: Tensor, filters: PackedFilters, layout: ConvLayout
    ):
        from danq.gpu import _conv_kernels as kernels

        shape = (len(codes), layout.steps, layout.filters)
        out = torch.empty(shape, dtype=filters.dtype, device=codes.device)
        winner = torch.empty(shape if layout.train else 0, dtype=torch.uint8, device=codes.device)
        total = len(codes) * layout.steps
        launch(
            kernels.forward,
            (-(-total // layout.tile),),
            codes,
            filters.weights,
            filters.bias,
            out,
            winner,
            total,
            layout,
            warps=WARPS,
        )
        ctx.save_for_backward(codes, winner)
        ctx.filters, ctx.layout = filters, layout
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):  # type: ignore[override]
        from danq.gpu import _conv_kernels as kernels

        codes, winner = ctx.saved_tensors
        layout, filters = ctx.layout, ctx.filters
        total = len(codes) * layout.steps
        blocks = layout.columns // layout.block
        shares = min(-(-total // layout.tile), _programs(codes.device) // blocks + 1)
        options = {"dtype": torch.float32, "device": codes.device}
        sums = torch.empty(shares, 4 * layout.width_rows, layout.columns, **options)
        bias_sums = torch.empty(shares, layout.columns, **options)
        launch(
            kernels.weight_gradient,
            (shares, blocks),
            codes,
            grad.contiguous(),
            winner,
            sums,
            bias_sums,
            total,
            layout,
            kernels.TYPES[filters.product],
            warps=WARPS,
        )
        weight_grad = sums.sum(0)[: 4 * layout.width, : layout.filters]
        weight_grad = weight_grad.view(layout.width, 4, layout.filters).permute(2, 1, 0)
        return None, weight_grad.contiguous(), bias_sums.sum(0)[: layout.filters], None, None


def _programs(device: torch.device) -> int:
    """Number of programs that keeps a device busy."""
    if device.type != "cuda":
        return 4
    return PROGRAMS_PER_PROCESSOR * torch.cuda.get_device_properties(device).multi_processor_count
