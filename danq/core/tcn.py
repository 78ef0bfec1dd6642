"""Temporal convolutional network: dilated convolutions in place of a recurrent layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from danq.core.masks import silent


class TcnBlock(nn.Module):
    """Two dilated convolutions and a residual: ``(B, F, T) -> (B, channels, T)``.

    Each convolution is weight-normalised and followed by ReLU and dropout; the input, by a 1 x 1
    convolution where its width differs, is added before a last ReLU.

    Parameters
    ----------
    in_channels, channels
        Features read and given.
    width
        Taps of a filter.
    dilation
        Steps between two taps.
    causal
        The taps end at the step itself; otherwise, odd in number, they stand around it.
    dropout
        After each ReLU of the two.
    start
        Start values, as `Tcn` takes them.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        width: int,
        *,
        dilation: int = 1,
        causal: bool = True,
        dropout: float = 0.0,
        start: str = "paper",
    ) -> None:
        super().__init__()
        if start not in ("paper", "he"):
            raise ValueError(f"start is '{start}', not paper or he")
        if not causal and width % 2 == 0:
            raise ValueError(f"width is {width}, but filters around a step are odd")
        reach = (width - 1) * dilation
        self.padding = (reach, 0) if causal else (reach // 2, reach // 2)
        self.first, self.second = (
            nn.Conv1d(before, channels, width, dilation=dilation)
            for before in (in_channels, channels)
        )
        self.skip = nn.Conv1d(in_channels, channels, 1) if in_channels != channels else None
        if self.skip is not None:
            nn.init.normal_(self.skip.weight, 0.0, 0.01)
        if start == "he":
            for conv in (self.first, self.second, *([] if self.skip is None else [self.skip])):
                nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
        weight_norm(self.first)
        weight_norm(self.second)
        self.dropout = nn.Dropout(dropout)
        self.out_features = channels

    def forward(
        self, x: Float[Tensor, "B F T"], mask: Bool[Tensor, "B 1 T"] | None = None
    ) -> Float[Tensor, "B G T"]:
        y = x
        for conv in (self.first, self.second):
            y = self.dropout(F.relu(conv(F.pad(silent(y, mask), self.padding))))
        return F.relu(y + (x if self.skip is None else self.skip(x)))


class Tcn(nn.Module):
    """Residual dilated convolutions over all steps: ``(B, T, in_features) -> (B, T, F)``.

    Block i dilates by ``2 ** i``, so that the steps seen grow exponentially with the blocks.

    Parameters
    ----------
    in_features
        Features of a step.
    channels
        Features of each block; the last is F.
    width
        Taps k of a filter; odd unless causal.
    causal
        Step t sees no later one; otherwise as many on either side.
    dropout
        Within blocks.
    start
        ``"paper"`` for start values as the authors' code has them; ``"he"`` for those of He et al.,
        ICCV 2015, which keep a signal's variance through the blocks, so that far steps are learned
        from the first.

    Notes
    -----
    Bai, Kolter & Koltun, "An empirical evaluation of generic convolutional and recurrent networks
    for sequence modeling", 2018. The paper's start values are what its code comes to: it sets all
    weights to normal with deviation 0.01, but those that are normalised return to torch's own at
    first use.
    """

    def __init__(
        self,
        in_features: int,
        channels: Sequence[int],
        width: int,
        *,
        causal: bool = True,
        dropout: float = 0.0,
        start: str = "paper",
    ) -> None:
        super().__init__()
        if not channels or width < 1:
            raise ValueError(f"channels are {list(channels)} and width is {width}, need 1 or more")
        self.width = width
        self.blocks = nn.ModuleList(
            TcnBlock(
                before, after, width, dilation=2**i, causal=causal, dropout=dropout, start=start
            )
            for i, (before, after) in enumerate(
                zip([in_features, *channels], channels, strict=False)
            )
        )
        self.out_features = channels[-1]

    @property
    def receptive_field(self) -> int:
        """Input steps that one output step sees: ``1 + 2 (k - 1) (2 ** n - 1)`` for n blocks."""
        return 1 + 2 * (self.width - 1) * (2 ** len(self.blocks) - 1)

    def forward(
        self, x: Float[Tensor, "B T F"], mask: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T G"]:
        """Outputs of every step; padded steps give 0 and change no real one."""
        y = x.transpose(1, 2)
        across = None if mask is None else mask.unsqueeze(1)
        for block in self.blocks:
            y = block(y, across)
        return silent(y, across).transpose(1, 2)


def tcn_blocks(steps: int, width: int, *, causal: bool = True) -> int:
    """Fewest blocks by which every one of ``steps`` steps sees all that it may.

    Parameters
    ----------
    steps
        Steps of the sequence.
    width
        Taps of a filter, 2 or more; odd unless causal.
    causal
        As in `Tcn`: taps that all stand on one side reach twice as far to it.

    Raises
    ------
    ValueError
        When the filters are too narrow to see another step.
    """
    if width < 2:
        raise ValueError(f"filters of width {width} see no other step")
    reach, blocks = width - 1 if causal else (width - 1) // 2, 1
    while 2 * reach * (2**blocks - 1) < steps - 1:
        blocks += 1
    return blocks
