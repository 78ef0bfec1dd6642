"""LSTM layers on a CUDA device, for inference and for training.

One product before the scan multiplies the inputs of all steps. A step is one product of the state
and one kernel for all gates. Two directions run side by side. A training step has as many launches
as a CUDA graph can save, so `LstmTraining` replays its scans as graphs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from danq.core import Recurrent
from danq.gpu.graph import Graph, side_by_side
from danq.gpu.launch import launch

BLOCK = 1024
"""Units, counted through all rows, per program of a step."""

WARPS = 4

CHUNK = 16
"""Steps whose inputs are multiplied together in inference, which bounds the memory."""


class StepLayout(NamedTuple):
    """Constants of a step; a kernel is compiled for each combination."""

    units: int
    block: int
    """Units, counted through all rows, per program."""
    towards: int
    """Sign of the distance from the cell states before a step to those after it; 0 in place."""
    masked: bool
    """Whether there is a mask."""
    keep: bool
    """Whether the gates are stored for the backward pass."""


def why_not(layer: Recurrent) -> str | None:
    """Why the kernels cannot compute a layer; None where they can."""
    if layer.kind != "lstm":
        return f"its recurrent cell is a {layer.kind.upper()}"
    return None if layer.gates == "sigmoid" else "its LSTM has hard gates"


class LstmWeights:
    """Weights of one layer in the type of its products: D directions, with gates i, f, g, o.

    Attributes
    ----------
    inputs
        ``(D, 4H, F)``.
    states
        ``(D, 4H, H)``.
    bias
        ``(D, 4H)`` float32, the sum of both.
    """

    def __init__(self, parameters: Sequence[Tensor], dtype: torch.dtype) -> None:
        self.parameters, self.directions = parameters, len(parameters) // 4
        wide, features = parameters[0].shape
        self.units, self.features = wide // 4, features
        device = parameters[0].device
        self.inputs = torch.empty(self.directions, wide, features, dtype=dtype, device=device)
        self.states = torch.empty(self.directions, wide, self.units, dtype=dtype, device=device)
        self.bias = torch.empty(self.directions, wide, device=device)
        self.pack()

    @torch.no_grad()
    def pack(self) -> None:
        """Copy the current parameters."""
        for d in range(self.directions):
            inputs, states, first, second = self.parameters[4 * d : 4 * d + 4]
            self.inputs[d].copy_(inputs)
            self.states[d].copy_(states)
            torch.add(first, second, out=self.bias[d])


class Scan(NamedTuple):
    """Tensors of one layer's scan over T steps of B rows.

    Attributes
    ----------
    x
        Inputs ``(T, B, F)``.
    mask
        ``(T, B)`` uint8, 0 at padding, or empty without a mask.
    gates
        ``(D, T, B, 4H)``: products of the inputs, then gates if they are kept, then, in the
        backward pass, gradients of the products. At most `CHUNK` steps at a time if they are not
        kept.
    recurrent
        ``(D, B, 4H)``, products of the states.
    cells
        ``(D, T + 1, B, H)`` float32, or ``(D, 1, B, H)`` where only the last state is kept. In the
        first direction, the states before step t have index t; in the second, those after it.
    hiddens
        ``(D, T + 1, B, H)``, as `cells`.
    """

    x: Tensor
    mask: Tensor
    gates: Tensor
    recurrent: Tensor
    cells: Tensor
    hiddens: Tensor

    @classmethod
    def of(cls, weights: LstmWeights, steps: int, rows: int, *, keep: bool, masked: bool) -> Scan:
        """New tensors; ``keep`` says whether the states and gates of all steps are kept."""
        directions, units = weights.directions, weights.units
        options = {"dtype": weights.inputs.dtype, "device": weights.inputs.device}
        states = (directions, steps + 1 if keep else 1, rows, units)
        gates = (directions, steps if keep else min(steps, CHUNK), rows, 4 * units)
        return cls(
            torch.empty(steps, rows, weights.features, **options),
            torch.ones(steps if masked else 0, rows, dtype=torch.uint8, device=options["device"]),
            torch.empty(gates, **options),
            torch.empty(directions, rows, 4 * units, **options),
            torch.zeros(states, device=options["device"]),
            torch.zeros(directions, steps + 1, rows, units, **options),
        )

    def fill(self, x: Float[Tensor, "B T F"], mask: Bool[Tensor, "B T"] | None) -> None:
        """Copy a batch of at most B rows; further rows and padding are 0."""
        rows = len(x)
        self.x[:, :rows].copy_(x.transpose(0, 1))
        self.x[:, rows:] = 0
        if mask is not None:
            self.mask[:, :rows].copy_(mask.transpose(0, 1))
            self.x[:, :rows].masked_fill_(~mask.transpose(0, 1).unsqueeze(2), 0)

    def outputs(self, rows: int) -> Float[Tensor, "B T G"]:
        """Copy of the hidden states of all steps, the forward direction first."""
        directions, steps, _, units = self.hiddens[:, 1:].shape
        out = self.hiddens.new_empty(rows, steps, directions, units)
        for d in range(directions):
            after = self.hiddens[d, :-1] if d else self.hiddens[d, 1:]
            out[:, :, d].copy_(after[:, :rows].transpose(0, 1))
        return out.flatten(2)

    def layout(self, direction: int, *, keep: bool) -> StepLayout:
        """Constants of the kernels for a direction."""
        towards = 0 if self.cells.shape[1] == 1 else (1, -1)[direction]
        masked = len(self.mask) > 0
        return StepLayout(self.hiddens.shape[3], BLOCK, towards, masked, keep)


def scan_forward(scan: Scan, weights: LstmWeights, *, keep: bool) -> None:
    """Compute the states of all steps, and the gates where they are kept."""
    from danq.gpu import _lstm_kernels as kernels

    steps, rows, _ = scan.x.shape
    count = rows * weights.units
    grid = (-(-count // BLOCK),)

    def run(d: int) -> None:
        gates, recurrent, cells, hiddens = (part[d] for part in scan[2:])
        inputs, product = weights.inputs[d].t(), weights.states[d].t()
        layout, size = scan.layout(d, keep=keep), len(gates)
        cells[0 if d == 0 else -1] = 0
        hiddens[0 if d == 0 else -1] = 0
        start = 0
        for number, t in enumerate(reversed(range(steps)) if d else range(steps)):
            if number % size == 0:
                start = max(0, t + 1 - size) if d else t
                chunk = scan.x[start : start + min(size, steps - number)]
                flat = gates[: len(chunk)].flatten(0, 1)
                torch.mm(chunk.flatten(0, 1), inputs, out=flat)
            before, after = (t + 1, t) if d else (t, t + 1)
            torch.mm(hiddens[before], product, out=recurrent)
            launch(
                kernels.step_forward,
                grid,
                gates[t - start],
                recurrent,
                weights.bias[d],
                cells[before if len(cells) > 1 else 0],
                hiddens[after],
                scan.mask[t] if layout.masked else scan.mask,
                count,
                layout,
                warps=WARPS,
            )

    _each_direction(weights, run)


def scan_backward(scan: Scan, weights: LstmWeights, upstream: Tensor, back: Tensor) -> None:
    """Replace the gates by the gradients of the products.

    ``upstream`` (D, T, B, H) are the gradients of the outputs; ``back`` (D, B, H) is working memory
    for those of the hidden states.
    """
    from danq.gpu import _lstm_kernels as kernels

    steps, rows, _ = scan.x.shape
    count = rows * weights.units
    grid = (-(-count // BLOCK),)
    cell_grads = torch.zeros(back.shape, device=back.device)
    back.zero_()

    def run(d: int) -> None:
        gates, cells = scan.gates[d], scan.cells[d]
        layout = scan.layout(d, keep=True)
        for t in range(steps) if d else reversed(range(steps)):
            launch(
                kernels.step_backward,
                grid,
                gates[t],
                cells[t + 1 if d else t],
                upstream[d, t],
                back[d],
                cell_grads[d],
                scan.mask[t] if layout.masked else scan.mask,
                count,
                layout,
                warps=WARPS,
            )
            torch.mm(gates[t], weights.states[d], out=back[d])

    _each_direction(weights, run)


def _each_direction(weights: LstmWeights, run: Callable[[int], None]) -> None:
    functions = [lambda d=d: run(d) for d in range(weights.directions)]
    side_by_side(weights.inputs.device, functions)


class FusedLstm(nn.Module):
    """`Recurrent` with LSTM cells: ``(B, T, in_features) -> (B, T, F)``.

    Parameters
    ----------
    plain
        The layer whose parameters are used.
    dtype
        Type of products and outputs, bfloat16 or float32; cell states are float32.
    fixed
        Whether the parameters never change, so that they are converted once; without gradients.
    rows
        As for `LstmTraining`.
    """

    def __init__(
        self, plain: Recurrent, dtype: torch.dtype, *, fixed: bool = False, rows: int = 0
    ) -> None:
        super().__init__()
        self.plain, self.dtype, self.fixed = plain, dtype, fixed
        self.out_features = plain.out_features
        parameters = list(plain.rnn.parameters())
        each = len(parameters) // plain.rnn.num_layers
        self.layers = [
            LstmTraining(LstmWeights(parameters[first : first + each], dtype), rows)
            for first in range(0, len(parameters), each)
        ]

    def forward(
        self, x: Float[Tensor, "B T F"], mask: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T G"]:
        """Outputs of every step; ``mask`` is as in `Recurrent`."""
        with torch.autocast(x.device.type, enabled=False):
            for number, layer in enumerate(self.layers):
                x = self._layer(self.plain.dropout(x) if number else x, mask, layer)
        return x

    def _layer(self, x: Tensor, mask: Tensor | None, layer: LstmTraining) -> Tensor:
        weights = layer.weights
        if torch.is_grad_enabled() and not self.fixed:
            return _Lstm.apply(x, mask, layer, *weights.parameters)  # type: ignore[no-any-return]
        if not self.fixed:
            weights.pack()
        rows, steps, _ = x.shape
        scan = Scan.of(weights, steps, rows, keep=False, masked=mask is not None)
        scan.fill(x, mask)
        scan_forward(scan, weights, keep=False)
        return scan.outputs(rows)


class LstmTraining:
    """Scans of one layer in training, replayed as CUDA graphs on tensors that stay in place.

    A batch is padded to ``rows``, or to the largest one before it, so that the graphs fit. With
    the rows of the largest batch, its results do not depend on earlier ones.
    """

    def __init__(self, weights: LstmWeights, rows: int = 0) -> None:
        self.weights, self.rows = weights, rows
        self.calls = 0
        self._scan: Scan | None = None
        self._pointers: list[int] = []

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Outputs of all steps; the tensors that a backward pass needs are kept until then."""
        pointers = [parameter.data_ptr() for parameter in self.weights.parameters]
        scan = self._scan
        if (
            scan is None
            or scan.x.shape[0] != x.shape[1]
            or scan.x.shape[1] < len(x)
            or (len(scan.mask) > 0) != (mask is not None)
            or pointers != self._pointers
        ):
            rows = max(len(x), self.rows)
            scan = self._prepare(rows, x.shape[1], masked=mask is not None)
            self._pointers = pointers
        self.calls += 1
        scan.fill(x, mask)
        self._run_forward()
        return scan.outputs(len(x))

    def backward(self, grad: Tensor, number: int) -> tuple[Tensor, list[Tensor]]:
        """Gradients of the input and of the parameters, for call ``number`` of `forward`.

        Raises
        ------
        RuntimeError
            When the layer was called again meanwhile, or its gradient was computed already.
        """
        if number != self.calls:
            raise RuntimeError("a fused LSTM needs each backward pass before its next forward pass")
        self.calls += 1
        assert self._scan is not None
        rows, units = len(grad), self.weights.units
        for d in range(self.weights.directions):
            part = grad[:, :, d * units : (d + 1) * units]
            self._upstream[d, :, :rows].copy_(part.transpose(0, 1))
        self._upstream[:, :, rows:] = 0
        self._run_backward()
        grads = []
        for inputs, states, bias in self._grads:
            grads += [inputs.clone(), states.clone(), bias.clone(), bias.clone()]
        x_grad = self._x_grad[:, :rows].transpose(0, 1)
        return x_grad.clone(memory_format=torch.contiguous_format), grads

    def _prepare(self, rows: int, steps: int, *, masked: bool) -> Scan:
        weights = self.weights
        self._scan = None  # its memory is used again
        self._scan = scan = Scan.of(weights, steps, rows, keep=True, masked=masked)
        states = (weights.directions, steps, rows, weights.units)
        self._upstream = scan.hiddens.new_empty(states)
        self._back = scan.hiddens.new_empty(states[0], *states[2:])
        self._x_grad = torch.empty_like(scan.x)
        device = scan.x.device
        self._grads = [
            tuple(torch.empty(part.shape, device=device) for part in parts)
            for parts in zip(weights.inputs, weights.states, weights.bias, strict=True)
        ]
        self._run_forward = Graph(self._forward, device)
        self._run_backward = Graph(self._backward, device)
        return scan

    def _forward(self) -> None:
        assert self._scan is not None
        self.weights.pack()
        scan_forward(self._scan, self.weights, keep=True)

    def _backward(self) -> None:
        scan, weights = self._scan, self.weights
        assert scan is not None
        scan_backward(scan, weights, self._upstream, self._back)
        x = scan.x.flatten(0, 1)

        def run(d: int) -> None:
            products = scan.gates[d].flatten(0, 1)
            before = (scan.hiddens[d, 1:] if d else scan.hiddens[d, :-1]).flatten(0, 1)
            inputs, states, bias = self._grads[d]
            inputs.copy_(products.t() @ x)
            states.copy_(products.t() @ before)
            torch.sum(products, dim=0, dtype=torch.float32, out=bias)

        _each_direction(weights, run)
        x_grad = self._x_grad.view(x.shape)
        torch.mm(scan.gates[0].flatten(0, 1), weights.inputs[0], out=x_grad)
        for d in range(1, weights.directions):
            x_grad.addmm_(scan.gates[d].flatten(0, 1), weights.inputs[d])


class _Lstm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, mask: Tensor | None, layer: LstmTraining, *parameters: Tensor):
        out = layer.forward(x, mask)
        ctx.layer, ctx.number, ctx.dtype = layer, layer.calls, x.dtype
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):  # type: ignore[override]
        with torch.autocast(grad.device.type, enabled=False):
            x_grad, grads = ctx.layer.backward(grad, ctx.number)
        return x_grad.to(ctx.dtype), None, None, *grads
