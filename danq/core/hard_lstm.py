"""LSTM with the piecewise linear gates of old Keras models."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from danq.core import _hard_lstm_kernels as kernels


def hard_sigmoid(x: Tensor) -> Tensor:
    """``clip(0.2 x + 0.5, 0, 1)``, as in Theano; torch's ``hardsigmoid`` has slope 1/6."""
    return (0.2 * x + 0.5).clamp(0, 1)


class HardLstm(nn.LSTM):
    """One LSTM layer with `hard_sigmoid` for the gates i, f and o; g and the output keep tanh.

    Its weights have torch's names, shapes and gate order (i, f, g, o).

    Parameters
    ----------
    in_features
        Features of a step.
    hidden
        Units per direction.
    bidirectional
        Whether the layer has a second set of units.
    second_direction
        Direction in which the second set of units reads: ``"backward"`` or ``"forward"``.

    Notes
    -----
    The inputs of all steps are multiplied in one product. On the CPU, without gradients and without
    a mask, a step is one more product and one fused pass over the gates; otherwise, it consists of
    torch's operators.
    """

    def __init__(
        self,
        in_features: int,
        hidden: int,
        *,
        bidirectional: bool = True,
        second_direction: str = "backward",
    ) -> None:
        if second_direction not in ("backward", "forward"):
            raise ValueError(f"second_direction is '{second_direction}', not backward or forward")
        super().__init__(in_features, hidden, bidirectional=bidirectional, batch_first=True)
        self.second_direction = second_direction

    def forward(  # type: ignore[override]
        self, x: Float[Tensor, "B T F"], mask: Bool[Tensor, "B T"] | None = None
    ) -> tuple[Float[Tensor, "B T G"], None]:
        """Outputs of every step, and None in place of the last states of torch's LSTM.

        ``mask`` is True at real steps. Outputs of padded steps are 0, and padding does not change
        other outputs.
        """
        kind = x.device.type
        autocast = torch.is_autocast_enabled(kind)
        own: Tensor = self.weight_hh_l0  # type: ignore[assignment]
        dtype = torch.get_autocast_dtype(kind) if autocast else own.dtype
        scan = _scan_with_kernel if mask is None and self._uses_kernel(x) else _scan_in_torch
        outputs = []
        with torch.autocast(kind, enabled=False) if autocast else nullcontext():
            x = x.to(dtype)
            for number in range(2 if self.bidirectional else 1):
                ending = "_reverse" if number else ""
                weights = [getattr(self, f"{name}_l0{ending}") for name in _NAMES]
                reverse = number == 1 and self.second_direction == "backward"
                order = range(x.shape[1])
                outputs.append(scan(x, weights, order[::-1] if reverse else order, mask))
        return torch.cat(outputs, dim=2), None

    def _uses_kernel(self, x: Tensor) -> bool:
        return (
            x.device.type == "cpu"
            and self.weight_hh_l0.dtype == torch.float32
            and not torch.is_grad_enabled()
            and not torch.jit.is_tracing()
            and not torch.compiler.is_compiling()
        )

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, second_direction={self.second_direction}"


_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def _scan_in_torch(x: Tensor, weights: list[Tensor], order: range, mask: Tensor | None) -> Tensor:
    """One direction with torch's operators: (B, T, F) to (B, T, H), states in the weights' type."""
    weight_ih, weight_hh, bias_ih, bias_hh = weights
    units = weight_hh.shape[1]
    bias = bias_ih + bias_hh
    # Unbound, because the gradient of a slice is as large as the whole tensor.
    products = ((x @ weight_ih.to(x.dtype).t()).to(bias.dtype) + bias).unbind(dim=1)
    recurrent = weight_hh.to(x.dtype).t()
    hidden = cell = bias.new_zeros(x.shape[0], units)
    out: list[Tensor] = [hidden] * len(order)
    for t in order:
        row = products[t] + (hidden.to(x.dtype) @ recurrent).to(bias.dtype)
        i, f, _, o = hard_sigmoid(row).chunk(4, dim=1)
        cell = f * cell + i * row[:, 2 * units : 3 * units].tanh()
        hidden = o * cell.tanh()
        if mask is not None:
            real = mask[:, t : t + 1]
            cell, hidden = cell * real, hidden * real
        out[t] = hidden
    return torch.stack(out, dim=1)


def _scan_with_kernel(x: Tensor, weights: list[Tensor], order: range, _: Tensor | None) -> Tensor:
    """The same with a kernel, for float32 states on the CPU and without gradients."""
    weight_ih, weight_hh, bias_ih, bias_hh = weights
    batch, steps, features = x.shape
    units = weight_hh.shape[1]
    xs = x.transpose(0, 1).reshape(-1, features)
    products = (xs @ weight_ih.to(x.dtype).t()).view(steps, batch, 4 * units)
    recurrent = weight_hh.to(x.dtype).t().contiguous()
    bias = (bias_ih + bias_hh).numpy()
    hidden, cell = torch.zeros(batch, units), torch.zeros(batch, units)
    out = torch.empty(batch, steps, units)
    for t in order:
        if x.dtype == torch.float32:
            row = products[t].addmm_(hidden, recurrent)
        else:
            row = products[t].float()
            row += hidden.to(x.dtype) @ recurrent
        kernels.step(row.numpy(), bias, cell.numpy(), hidden.numpy())
        out[:, t] = hidden
    return out
