"""Temporal convolutional network: dilated convolutions in place of a recurrent layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from danq.core.dropout import TorchDropout
from danq.core.masks import zero_padding


class TcnBlock(nn.Module):
    """Two dilated convolutions and a residual: ``(B, F, T) -> (B, channels, T)``.

    Each convolution is weight-normalised and followed by ReLU and dropout. Then the input is added,
    through a 1 x 1 convolution if its width differs, and a last ReLU is applied.

    Parameters
    ----------
    in_channels, channels
        Input and output features.
    width
        Number of taps of a filter.
    dilation
        Steps between two taps.
    causal
        The last tap is at the step itself. Otherwise the taps are centred on it and odd in number.
    dropout
        Dropout after each convolution.
    start
        Initial weights, as in `Tcn`.
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
            raise ValueError(f"width is {width}, not odd, which centred filters need")
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
        self.dropout = TorchDropout(dropout)
        self.out_features = channels

    def forward(
        self, x: Float[Tensor, "B F T"], mask: Bool[Tensor, "B 1 T"] | None = None
    ) -> Float[Tensor, "B G T"]:
        y = x
        for conv in (self.first, self.second):
            y = self.dropout(F.relu(conv(F.pad(zero_padding(y, mask), self.padding))))
        return F.relu(y + (x if self.skip is None else self.skip(x)))


class Tcn(nn.Module):
    """Residual dilated convolutions over all steps: ``(B, T, in_features) -> (B, T, F)``.

    Block i has dilation ``2 ** i``, so the receptive field grows exponentially with the number of
    blocks.

    Parameters
    ----------
    in_features
        Input features of a step.
    channels
        Features of each block; the last is F.
    width
        Number of taps k of a filter; odd unless causal.
    causal
        An output depends on no later step. Otherwise it depends on as many later as earlier
        steps.
    dropout
        Dropout within blocks.
    start
        Initial weights: ``"paper"`` as in the authors' code, or ``"he"`` as in He et al., ICCV
        2015, which keep the variance of the signal through the blocks and so help to learn distant
        dependencies.

    Notes
    -----
    Bai, Kolter & Koltun, "An empirical evaluation of generic convolutional and recurrent networks
    for sequence modeling", 2018. The authors' code draws all weights from a normal distribution of
    standard deviation 0.01, but the weight-normalised ones return to torch's default initial values
    at their first use. ``"paper"`` does the same.
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
            raise ValueError(
                f"channels are {list(channels)} and width is {width}; both need 1 or more"
            )
        self.blocks = nn.ModuleList(
            TcnBlock(
                before, after, width, dilation=2**i, causal=causal, dropout=dropout, start=start
            )
            for i, (before, after) in enumerate(
                zip([in_features, *channels], channels, strict=False)
            )
        )
        self.out_features = channels[-1]

    def forward(
        self, x: Float[Tensor, "B T F"], mask: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T G"]:
        """Outputs of every step; 0 at padded steps, which affect no real step."""
        y = x.transpose(1, 2)
        across = None if mask is None else mask.unsqueeze(1)
        for block in self.blocks:
            y = block(y, across)
        return zero_padding(y, across).transpose(1, 2)


def tcn_blocks(steps: int, width: int, *, causal: bool = True) -> int:
    """Smallest number of blocks whose receptive field covers a sequence.

    Parameters
    ----------
    steps
        Length of the sequence in steps.
    width
        Number of taps of a filter, 2 or more; odd unless causal.
    causal
        As in `Tcn`; causal filters reach twice as far back as centred ones.

    Raises
    ------
    ValueError
        When ``width`` is below 2.
    """
    if width < 2:
        raise ValueError(f"width is {width}, the minimum is 2")
    reach, blocks = width - 1 if causal else (width - 1) // 2, 1
    while 2 * reach * (2**blocks - 1) < steps - 1:
        blocks += 1
    return blocks
