"""The encoder of clips that captions and questions share."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from danq.core import Recurrent
from danq.core.recurrent import States
from danq.vision.dataset import Metadata
from danq.vision.model_blocks import frame_cnn


class ClipReader(nn.Module):
    """A CNN on every frame and its difference from the frame before; a recurrent layer.

    Parameters
    ----------
    metadata
        Its ``shape`` is (T, C, H, W) of the longest clip.
    channels, features
        Channels of the CNN and features of a frame.
    hidden, kind, layers
        Units, "lstm" or "gru", and layers of the recurrent layer.
    one_frame
        Read the middle frame alone, as a rival.

    Notes
    -----
    The differences stand for the optical flow that Venugopalan et al. (ICCV 2015) read beside the
    frames.
    """

    def __init__(
        self,
        metadata: Metadata,
        *,
        channels: Sequence[int],
        features: int,
        hidden: int,
        kind: str = "lstm",
        layers: int = 1,
        one_frame: bool = False,
    ) -> None:
        super().__init__()
        frames, planes, *size = metadata["shape"]
        self.frames = frame_cnn([frames, 2 * planes, *size], channels, features)
        self.rnn = Recurrent(features, hidden, kind=kind, layers=layers, bidirectional=False)
        self.one_frame = one_frame
        self.out_features = hidden

    def forward(
        self, clip: Float[Tensor, "B T C H W"], real: Bool[Tensor, "B T"]
    ) -> tuple[Float[Tensor, "B T F"], Bool[Tensor, "B T"], States]:
        """A token per frame, the mask of real tokens, and the states after the last one."""
        if self.one_frame:
            clip, real = middle_frame(clip, real).unsqueeze(1), real[:, :1]
        before = torch.cat([clip[:, :1], clip[:, :-1]], dim=1)
        tokens = self.frames(torch.cat([clip, clip - before], dim=2), real)
        tokens, states = self.rnn.with_states(tokens, real)
        return tokens, real, states


def middle_frame(
    clip: Float[Tensor, "B T C H W"], real: Bool[Tensor, "B T"]
) -> Float[Tensor, "B C H W"]:
    """The middle one of the real frames, which come first."""
    return clip[torch.arange(len(clip), device=clip.device), real.sum(dim=1) // 2]
