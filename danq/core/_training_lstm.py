"""A bidirectional LSTM layer for training on the CPU, near the speed of its matrix products.

One product before the scan multiplies the inputs of all steps; one product after it gives each
weight gradient. Between two recurrent products there is one fused pass over the gates. In bfloat16,
products are taken in bfloat16 and cell states stay float32.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numba
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from danq.core import _training_lstm_kernels as kernels
from danq.core._bfloat16 import as_array

MANY = 32_768
"""Gates of a step, ``4 * B * H``, from which a scan uses several threads."""


class LstmLayer(torch.autograd.Function):
    """One layer, one direction or two: ``(B, T, F) -> (B, T, directions * H)``.

    Parameters of `apply`: the input; whether products are in bfloat16; for each direction
    ``weight_ih`` (4H, F), ``weight_hh`` (4H, H), ``bias_ih`` (4H,) and ``bias_hh`` (4H,), with
    gates in the order i, f, g, o. The second direction reads backwards.
    """

    @staticmethod
    def forward(ctx, x: Tensor, bf16: bool, *parameters: Tensor) -> Tensor:
        dtype = torch.bfloat16 if bf16 else torch.float32
        with torch.autocast("cpu", enabled=False):
            batch, steps, _ = x.shape
            units = parameters[1].shape[1]
            directions = len(parameters) // 4
            xs = x.transpose(0, 1).to(dtype).contiguous()
            out = torch.empty(batch, steps, directions * units, dtype=dtype)
            saved: list[Tensor] = []
            for d in range(directions):
                saved += _scan(xs, parameters[4 * d : 4 * d + 4], d == 1, out, d * units)
            ctx.save_for_backward(xs, *parameters, *saved)
            ctx.directions = directions
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):  # type: ignore[override]
        xs, *rest = ctx.saved_tensors
        count = 4 * ctx.directions
        parameters, saved = rest[:count], rest[count:]
        units = parameters[1].shape[1]
        steps, batch, features = xs.shape
        grads: list[Tensor | None] = []
        x_grad = None
        with torch.autocast("cpu", enabled=False):
            grad = grad.to(xs.dtype).contiguous()
            for d in range(ctx.directions):
                weight_ih, weight_hh = parameters[4 * d : 4 * d + 2]
                gates, cells, hiddens = saved[3 * d : 3 * d + 3]
                products = _scan_back(grad, weight_hh, gates, cells, d == 1, d * units)
                flat = products.view(steps * batch, 4 * units)
                if any(ctx.needs_input_grad[2:]):
                    before = hiddens[:-1] if d == 0 else hiddens[1:]
                    bias = flat.sum(dim=0, dtype=torch.float32)
                    grads += [
                        (flat.t() @ xs.view(-1, features)).float(),
                        (flat.t() @ before.reshape(-1, units)).float(),
                        bias,
                        bias.clone(),
                    ]
                else:
                    grads += [None] * 4
                if ctx.needs_input_grad[0]:
                    one = flat @ weight_ih.to(xs.dtype)
                    x_grad = one if x_grad is None else x_grad.add_(one)
        if x_grad is not None:
            x_grad = x_grad.view(steps, batch, features).transpose(0, 1).float()
        return x_grad, None, *grads


def _scan(
    xs: Tensor,
    parameters: tuple[Tensor, ...] | list[Tensor],
    reverse: bool,
    out: Tensor,
    first: int,
) -> list[Tensor]:
    """Gates (T, B, 4H), cells and hidden states (T + 1, B, H) of one direction.

    Fills the features of ``out`` (B, T, .) from index ``first``. In the forward direction, index t
    of the states is before step t and t + 1 after it; in the backward direction, t + 1 is before
    step t and t after it.
    """
    weight_ih, weight_hh, bias_ih, bias_hh = parameters
    steps, batch, features = xs.shape
    units = weight_hh.shape[1]
    gates = (xs.view(-1, features) @ weight_ih.to(xs.dtype).t()).view(steps, batch, -1)
    weight = weight_hh.to(xs.dtype).t().contiguous()
    bias = (bias_ih + bias_hh).detach().numpy()
    cells = torch.empty(steps + 1, batch, units)
    hiddens = torch.empty(steps + 1, batch, units, dtype=xs.dtype)
    cells[steps if reverse else 0] = 0
    hiddens[steps if reverse else 0] = 0
    recurrent = torch.empty(batch, 4 * units, dtype=xs.dtype)
    columns = as_array(out.view(batch, -1))
    with _few_threads(4 * batch * units):
        for t in reversed(range(steps)) if reverse else range(steps):
            before, after = (t + 1, t) if reverse else (t, t + 1)
            torch.mm(hiddens[before], weight, out=recurrent)
            kernels.step_forward(
                as_array(gates[t]),
                as_array(recurrent),
                bias,
                as_array(cells[before]),
                as_array(cells[after]),
                as_array(hiddens[after]),
                columns,
                t * out.shape[2] + first,
            )
    return [gates, cells, hiddens]


@contextmanager
def _few_threads(gates: int) -> Iterator[None]:
    """Use one thread for a scan whose steps have fewer than `MANY` gates.

    Such a step takes about as long as the threads need to meet, and on a busy machine a hundred
    times less.
    """
    threads = torch.get_num_threads()
    if threads == 1 or gates >= MANY:
        yield
        return
    kernel_threads = numba.get_num_threads()
    numba.set_num_threads(1)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        # torch last, as in `danq.device.set_threads`.
        numba.set_num_threads(kernel_threads)
        torch.set_num_threads(threads)


def _scan_back(
    grad: Tensor, weight_hh: Tensor, gates: Tensor, cells: Tensor, reverse: bool, first: int
) -> Tensor:
    """Gradient (T, B, 4H) with respect to the products of one direction.

    ``grad`` (B, T, .) holds the gradient of this direction's outputs from feature ``first``.
    """
    steps, batch, width = gates.shape
    units = width // 4
    weight = weight_hh.to(gates.dtype)
    products = torch.empty_like(gates)
    recurrent = torch.zeros(batch, units, dtype=gates.dtype)
    cell_grad = torch.zeros(batch, units)
    columns = as_array(grad.view(batch, -1))
    with _few_threads(batch * width):
        for t in range(steps) if reverse else reversed(range(steps)):
            before, after = (t + 1, t) if reverse else (t, t + 1)
            kernels.step_backward(
                as_array(gates[t]),
                as_array(cells[before]),
                as_array(cells[after]),
                columns,
                t * grad.shape[2] + first,
                as_array(recurrent),
                as_array(cell_grad),
                as_array(products[t]),
            )
            torch.mm(products[t], weight, out=recurrent)
    return products
