"""The first layer of a sequence model: motif filters over integer codes, with N as code 4."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from danq.core import _one_hot_conv_kernels as kernels
from danq.core.filter_lookup import CODES, SYMBOLS, pair_codes, pair_table
from danq.core.freezing import Freezable


def one_hot(codes: UInt8[Tensor, "B L"], unknown: float) -> Float[Tensor, "B 4 L"]:
    """One-hot channels of codes 0-3; code 4 ("N") gives ``unknown`` in all four channels."""
    table = torch.eye(CODES, SYMBOLS, device=codes.device)
    table[SYMBOLS] = unknown
    return F.embedding(codes.long(), table).transpose(1, 2)


def bias_with_nan(weight: Float[Tensor, "F 4 W"], bias: Float[Tensor, " F"]) -> Float[Tensor, " F"]:
    """The bias of each filter, but NaN where one of its weights is not finite.

    Kernels that pool skip NaN when they compare scores. With this bias they can give NaN for the
    whole filter, as torch's convolution does: there, 0 times such a weight is NaN.
    """
    return bias.detach() + (0 * weight.detach()).sum(dim=(1, 2))


class _LookupConv(torch.autograd.Function):
    """Fused convolution, ReLU and max-pool by table look-up, on the CPU."""

    @staticmethod
    def forward(ctx, codes, weight, bias, pool: int, rectify: bool, unknown: float):
        width = weight.shape[2]
        batch, length = codes.shape
        filters = weight.shape[0]
        steps = (length - width + 1) // pool
        pairs = pair_codes(codes.numpy())
        table = pair_table(weight.detach().numpy(), bias.detach().numpy(), unknown)
        out = np.empty((batch, steps, filters), table.rows.dtype)
        train = ctx.needs_input_grad[1] or ctx.needs_input_grad[2]
        winner = np.empty(out.shape if train else (0, 0, 0), np.uint8)
        kernels.forward(pairs, table, pool, rectify, out, winner)
        out[:, :, bias_with_nan(weight, bias).isnan().numpy()] = np.nan
        # Computed now, because the caller may change the codes before backward.
        ctx.quads = kernels.quad_codes(codes.numpy()) if train else None
        ctx.winner = winner
        ctx.width, ctx.pool, ctx.unknown = width, pool, unknown
        return torch.from_numpy(out)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        filters = grad.shape[2]
        grad = grad.contiguous().numpy()
        weight_grad = np.zeros((filters, SYMBOLS, ctx.width), grad.dtype)
        bias_grad = np.zeros(filters, grad.dtype)
        unknown = grad.dtype.type(ctx.unknown)
        kernels.backward(ctx.quads, ctx.winner, grad, unknown, ctx.pool, weight_grad, bias_grad)
        return None, torch.from_numpy(weight_grad), torch.from_numpy(bias_grad), None, None, None


class OneHotConv(Freezable):
    """Convolution of one-hot symbols, ReLU and max-pool: ``(B, L) -> (B, T, F)``.

    The input is integer codes: 0 to 3 for the four symbols (A, C, G, T) and 4 for an unknown symbol
    (N). A known symbol is 1 in its channel and 0 in the others; code 4 is ``unknown`` in all four
    channels. No one-hot tensor is stored on the CPU: there the layer adds rows of a look-up table
    (`danq.core.filter_lookup`), with values and gradients equal to torch's layers within float32
    rounding. Codes on other devices and inputs with soft one-hot channels use torch's layers.

    There is no padding: ``T = (L - width + 1) // pool``. An incomplete last pool window is dropped.

    Parameters
    ----------
    filters
        Number of filters F.
    width
        Width of a filter in symbols.
    pool
        Width and stride of the max-pool in positions, 1 for none; at most 255.
    activation
        ``"relu"`` or ``"identity"``.
    unknown
        Value of each of the four channels at code 4 (N): 0 ignores the position, 0.25 is the
        average of the four symbols.

    Notes
    -----
    First layer of DanQ (Quang & Xie, Nucleic Acids Research 2016).
    """

    def __init__(
        self,
        filters: int,
        width: int,
        *,
        pool: int = 1,
        activation: str = "relu",
        unknown: float = 0.0,
    ) -> None:
        super().__init__()
        if activation not in ("relu", "identity"):
            raise ValueError(f"activation is '{activation}', not 'relu' or 'identity'")
        if not 1 <= pool <= 255:
            raise ValueError(f"pool is {pool}, not within 1..255")
        self.width, self.pool, self.unknown = width, pool, unknown
        self.activation = activation
        self.out_features = filters
        self.weight = nn.Parameter(torch.empty(filters, SYMBOLS, width))
        self.bias = nn.Parameter(torch.zeros(filters))
        nn.init.uniform_(self.weight, -0.05, 0.05)

    def steps(self, length: int) -> int:
        """Number of steps T for an input of ``length`` symbols."""
        return max(0, length - self.width + 1) // self.pool

    def filters(self) -> tuple[Float[Tensor, "F 4 W"], Float[Tensor, " F"]]:
        """Weights and biases of all filters."""
        return self.weight, self.bias

    def forward(self, x: UInt8[Tensor, "B L"] | Float[Tensor, "B 4 L"]) -> Float[Tensor, "B T F"]:
        """Pooled activations of codes or of soft one-hot channels.

        Raises
        ------
        ValueError
            When the input is shorter than a filter and one pool window.
        """
        self._check_length(x.shape[-1])
        if x.dim() == 2 and x.device.type == "cpu" and not torch.compiler.is_compiling():
            rectify = self.activation == "relu"
            return _LookupConv.apply(x, *self.filters(), self.pool, rectify, self.unknown)  # type: ignore[no-any-return]
        return self.plain(x)

    def overlapping(
        self, codes: UInt8[np.ndarray, " S"], first: Int64[np.ndarray, " B"], length: int
    ) -> Float[Tensor, "B T F"]:
        """`forward` of windows of one sequence, on the CPU and without gradients.

        A position that several windows contain is computed once. The values are those of
        `forward`, bit for bit.

        Parameters
        ----------
        codes
            Codes of the sequence.
        first
            First position of each window; at least one.
        length
            Symbols of a window, which is inside the sequence.

        Raises
        ------
        ValueError
            As `forward`.
        """
        self._check_length(length)
        weight, bias = (one.detach() for one in self.filters())
        table = pair_table(weight.numpy(), bias.numpy(), self.unknown)
        steps, padded = self.steps(length), table.bias.size
        out = np.empty((len(first), steps, padded), table.rows.dtype)
        row = np.argsort(first, kind="stable")
        starts = first[row]
        spans = kernels.spans(starts, steps * self.pool)
        least = out.dtype.type(0 if self.activation == "relu" else -np.inf)
        pairs = pair_codes(codes[None])
        kernels.forward_overlapping(pairs, starts, row, spans, table, self.pool, least, out)
        out = np.ascontiguousarray(out[:, :, : len(weight)])
        out[:, :, bias_with_nan(weight, bias).isnan().numpy()] = np.nan
        return torch.from_numpy(out)

    def _check_length(self, length: int) -> None:
        if self.steps(length) < 1:
            raise ValueError(
                f"input of {length} symbols is shorter than filter width {self.width} "
                f"and pool {self.pool} together need ({self.width + self.pool - 1})"
            )

    def plain(self, x: UInt8[Tensor, "B L"] | Float[Tensor, "B 4 L"]) -> Float[Tensor, "B T F"]:
        """`forward` with torch's layers, on any device and for soft one-hot channels."""
        channels = one_hot(x, self.unknown) if x.dim() == 2 else x
        return self.pooled(self.scores(channels))

    def scores(self, channels: Float[Tensor, "B 4 L"]) -> Float[Tensor, "B F S"]:
        """Scores of the filters at every position: the linear part of `plain`."""
        return F.conv1d(channels.to(self.weight.dtype), *self.filters())

    def pooled(self, scores: Float[Tensor, "B F S"]) -> Float[Tensor, "B T F"]:
        """Pooled activations of scores."""
        y = F.relu(scores) if self.activation == "relu" else scores
        y = F.max_pool1d(y, self.pool) if self.pool > 1 else y
        return y.transpose(1, 2)

    def extra_repr(self) -> str:
        return (
            f"filters={self.out_features}, width={self.width}, pool={self.pool}, "
            f"activation={self.activation}, unknown={self.unknown}"
        )


class BothStrandsConv(OneHotConv):
    """`OneHotConv` whose filters read both strands: ``(B, L) -> (B, T, F)``.

    The second half of the filters of a group are the reverse complements of its first half, with
    the same biases. The layers that follow see on which strand a motif is, and each motif is
    learned from its occurrences on both.

    Parameters
    ----------
    filters
        Number of filters F of both strands together, even. There are F / 2 sets of weights.
    width, pool, activation, unknown
        As in `OneHotConv`.
    groups
        Number of groups of filters.

    Raises
    ------
    ValueError
        When the filters cannot be divided into groups of an even number of filters.

    Notes
    -----
    Shared weights as in Shrikumar, Greenside & Kundaje, bioRxiv 103663 (2017); here only in the
    first layer, because the sequences have a direction.
    """

    def __init__(
        self,
        filters: int,
        width: int,
        *,
        pool: int = 1,
        activation: str = "relu",
        unknown: float = 0.0,
        groups: int = 1,
    ) -> None:
        if filters % (2 * groups):
            raise ValueError(
                f"{filters} filters of two strands in groups: {groups}; the number must be a "
                f"multiple of {2 * groups}"
            )
        super().__init__(filters // 2, width, pool=pool, activation=activation, unknown=unknown)
        self.out_features, self.groups = filters, groups

    def filters(self) -> tuple[Float[Tensor, "F 4 W"], Float[Tensor, " F"]]:
        """Weights and biases of all filters: in a group, those of the forward strand first."""
        weight = torch.stack([self.weight, self.weight.flip(1, 2)])
        bias = torch.stack([self.bias, self.bias])
        return self._grouped(weight), self._grouped(bias)

    def _grouped(self, strands: Float[Tensor, "S F ..."]) -> Float[Tensor, "G ..."]:
        return strands.unflatten(1, (self.groups, -1)).transpose(0, 1).flatten(0, 2)
