"""Recurrent layers whose states are maps: ConvLSTM and ConvGRU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from danq.core.masks import zero_padding

State: TypeAlias = tuple[Tensor, ...]
"""State of a layer, maps ``(B, F, H, W)``: h and c of a ConvLSTM, h of a ConvGRU."""

_GATES = {"lstm": 4, "gru": 3}


class ConvCell(nn.Module):
    """One layer: its gates are a convolution of the input plus a convolution of the state.

    Gates are in torch's order (i, f, g, o; r, z, n): on 1 x 1 maps the layer equals ``nn.LSTM`` or
    ``nn.GRU`` with the same weights.
    """

    def __init__(
        self, in_channels: int, hidden: int, width: int, state_width: int, kind: str
    ) -> None:
        super().__init__()
        self.hidden, self.kind = hidden, kind
        gates = _GATES[kind] * hidden
        self.input = nn.Conv2d(in_channels, gates, width, padding=width // 2)
        self.state = nn.Conv2d(hidden, gates, state_width, padding=state_width // 2)
        if kind == "lstm":
            nn.init.zeros_(self.input.bias)  # type: ignore[arg-type]
            nn.init.ones_(self.input.bias[hidden : 2 * hidden])  # type: ignore[index]

    def begin(self, x: Float[Tensor, "... H W"], rows: int) -> State:
        """Zero state of maps as large as ``x``."""
        zeros = x.new_zeros(rows, self.hidden, *x.shape[-2:])
        return (zeros, zeros) if self.kind == "lstm" else (zeros,)

    def forward(self, projected: Float[Tensor, "B G H W"], state: State) -> State:
        """The next state; ``projected`` is the input after its convolution."""
        if self.kind == "lstm":
            h, c = state
            i, f, g, o = (projected + self.state(h)).chunk(4, dim=1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            return o.sigmoid() * c.tanh(), c
        (h,) = state
        xr, xz, xn = projected.chunk(3, dim=1)
        hr, hz, hn = self.state(h).chunk(3, dim=1)
        z = (xz + hz).sigmoid()
        n = (xn + (xr + hr).sigmoid() * hn).tanh()
        return ((1 - z) * n + z * h,)


class ConvRecurrent(nn.Module):
    """ConvLSTM or ConvGRU over maps: ``(B, T, in_channels, H, W) -> (B, T, F, H, W)``.

    Parameters
    ----------
    in_channels
        Channels of a frame.
    hidden
        Channels of each layer's state; the last is F.
    width, state_width
        Odd widths of the convolutions of input and state; a ``state_width`` of None is
        ``width``.
    kind
        ``"lstm"`` or ``"gru"``.

    Notes
    -----
    ConvLSTM: Shi et al., NIPS 2015, without peephole connections; the forget-gate bias starts
    at 1. ConvGRU: Ballas et al., ICLR 2016.
    """

    def __init__(
        self,
        in_channels: int,
        hidden: Sequence[int],
        width: int,
        *,
        state_width: int | None = None,
        kind: str = "lstm",
    ) -> None:
        super().__init__()
        state_width = width if state_width is None else state_width
        if kind not in _GATES:
            raise ValueError(f"kind is '{kind}', not one of {', '.join(_GATES)}")
        if width % 2 == 0 or state_width % 2 == 0:
            raise ValueError(f"widths are {width} and {state_width}, not odd")
        self.cells = nn.ModuleList(
            ConvCell(before, after, width, state_width, kind)
            for before, after in zip([in_channels, *hidden], hidden, strict=False)
        )
        self.in_channels, self.hidden = in_channels, tuple(hidden)
        self.out_features = self.hidden[-1]

    def forward(
        self, x: Float[Tensor, "B T C H W"], mask: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T F H W"]:
        """States h of the last layer at every step; 0 at padding, which affects no real step."""
        return self.run(x, mask)[0]

    def run(
        self,
        x: Float[Tensor, "B T C H W"],
        mask: Bool[Tensor, "B T"] | None = None,
        states: Sequence[State] | None = None,
    ) -> tuple[Float[Tensor, "B T F H W"], list[State]]:
        """Outputs of every step, and each layer's state after a row's last real step.

        ``states`` are the initial states, zeros if None.
        """
        if x.dim() != 5 or x.shape[2] != self.in_channels:
            raise ValueError(
                f"input of shape {tuple(x.shape)} is not (B, T, {self.in_channels}, H, W)"
            )
        finals: list[State] = []
        for number, cell in enumerate(self.cells):
            assert isinstance(cell, ConvCell)
            state = cell.begin(x, x.shape[0]) if states is None else states[number]
            # The convolution of the input needs no state, so it runs on all steps at once.
            projected = cell.input(x.flatten(0, 1)).unflatten(0, x.shape[:2])
            outputs: list[Tensor] = []
            for step in range(x.shape[1]):
                new = cell(projected[:, step], state)
                state = new if mask is None else _held(new, state, mask[:, step])
                outputs.append(state[0])
            x = torch.stack(outputs, dim=1)
            finals.append(state)
        return zero_padding(x, None if mask is None else mask[:, :, None, None, None]), finals

    def step(self, x: Float[Tensor, "B C H W"], states: Sequence[State]) -> list[State]:
        """States of all layers after another frame."""
        after: list[State] = []
        for cell, state in zip(self.cells, states, strict=True):
            assert isinstance(cell, ConvCell)
            after.append(cell(cell.input(x), state))
            x = after[-1][0]
        return after


def _held(new: State, old: State, real: Bool[Tensor, " B"]) -> State:
    keep = real[:, None, None, None]
    return tuple(torch.where(keep, a, b) for a, b in zip(new, old, strict=True))
