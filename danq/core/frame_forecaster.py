"""Forecasts of the next frames of a clip."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from danq.core.conv_recurrent import ConvRecurrent, State


class FrameForecaster(nn.Module):
    """Forecast frames from the states of maps: states to ``(B, S, channels, H, W)`` logits.

    At each step a 1 x 1 convolution reads the states of all layers.

    Parameters
    ----------
    recurrent
        Layers that continue from the states; their sizes equal those of the encoder's layers.
    channels
        Channels of a frame.
    feedback
        Feed the sigmoid of the previous frame to the layers, which needs
        ``recurrent.in_channels == channels``. Otherwise their input is zeros.

    Notes
    -----
    The forecasting half of Shi et al., NIPS 2015.
    """

    def __init__(self, recurrent: ConvRecurrent, channels: int, *, feedback: bool = False) -> None:
        super().__init__()
        if feedback and recurrent.in_channels != channels:
            raise ValueError(
                f"feedback of {channels} channels does not fit layers that read "
                f"{recurrent.in_channels}"
            )
        self.recurrent, self.feedback = recurrent, feedback
        self.output = nn.Conv2d(sum(recurrent.hidden), channels, 1)
        self.out_features = channels

    def forward(
        self,
        states: Sequence[State],
        steps: int,
        last: Float[Tensor, "B C H W"] | None = None,
    ) -> Float[Tensor, "B S C H W"]:
        """Logits of ``steps`` frames; ``last`` is the frame before the first, zeros if None."""
        h = states[0][0]
        frame = h.new_zeros(h.shape[0], self.recurrent.in_channels, *h.shape[2:])
        if self.feedback and last is not None:
            frame = last
        frames: list[Tensor] = []
        for _ in range(steps):
            states = self.recurrent.step(frame, states)
            frames.append(self.output(torch.cat([state[0] for state in states], dim=1)))
            if self.feedback:
                frame = frames[-1].sigmoid()
        return torch.stack(frames, dim=1)


class EncoderForecaster(nn.Module):
    """Read frames and forecast the next ones: ``(B, T, C, H, W) -> (B, S, C, H, W)`` logits.

    Parameters
    ----------
    encoder, forecaster
        Layers over frames of ``patch * patch * C`` channels.
    steps
        Default number of frames S to forecast.
    patch
        Squares of ``patch`` x ``patch`` pixels become channels of one position, which divides the
        size of the maps by ``patch``.

    Notes
    -----
    ConvLSTM of Shi et al., NIPS 2015: patches of 4, states of 128, 64 and 64 channels, width 5.
    Pixels are between 0 and 1; the loss is binary cross-entropy.
    """

    def __init__(
        self,
        encoder: ConvRecurrent,
        forecaster: FrameForecaster,
        *,
        steps: int,
        patch: int = 1,
    ) -> None:
        super().__init__()
        if encoder.hidden != forecaster.recurrent.hidden:
            raise ValueError(
                f"states of {encoder.hidden} channels do not fit {forecaster.recurrent.hidden}"
            )
        self.encoder, self.forecaster = encoder, forecaster
        self.steps, self.patch = steps, patch
        self.out_features = forecaster.out_features // patch**2

    def forward(
        self,
        x: Float[Tensor, "B T C H W"],
        mask: Bool[Tensor, "B T"] | None = None,
        steps: int | None = None,
    ) -> Float[Tensor, "B S C H W"]:
        if x.shape[-1] % self.patch or x.shape[-2] % self.patch:
            raise ValueError(
                f"frames of {x.shape[-2]} x {x.shape[-1]} do not divide into patches of "
                f"{self.patch} x {self.patch}"
            )
        patches = F.pixel_unshuffle(x, self.patch)
        _, states = self.encoder.run(patches, mask)
        if mask is None:
            last = patches[:, -1]
        else:
            ends = mask.sum(dim=1).clamp(min=1) - 1
            last = patches[torch.arange(len(x), device=x.device), ends]
        frames = self.forecaster(states, self.steps if steps is None else steps, last)
        return F.pixel_shuffle(frames, self.patch)
