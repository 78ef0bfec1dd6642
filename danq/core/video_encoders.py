"""Encoders of video clips: a 2-D network on every frame, or a 3-D network on the clip."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor, nn

from danq.core.block_interface import features_of
from danq.core.freezing import Freezable


class FrameEncoder(Freezable):
    """An image network applied to every frame: ``(B, T, C, H, W) -> (B, T, F)``.

    A network that returns maps, ``(B, C, H, W) -> (B, F, h, w)``, gives ``(B, T, F, h, w)``.

    Parameters
    ----------
    backbone
        Any module from ``(B, C, H, W)`` to ``(B, F)`` or ``(B, F, h, w)``.
    features
        Number of features F; None reads ``out_features`` of the backbone.
    frozen
        Start frozen, see `Freezable`.

    The setting ``frozen_epochs`` of a recipe freezes the backbone for the first epochs.
    """

    takes_mask = True

    def __init__(
        self, backbone: nn.Module, features: int | None = None, *, frozen: bool = False
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.out_features = features_of(backbone) if features is None else features
        if frozen:
            self.freeze()

    def forward(
        self, x: Float[Tensor, "B T C H W"], mask: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T F ..."]:
        """Features of each frame. The backbone reads only real frames; padded frames give 0."""
        if x.dim() != 5:
            raise ValueError(f"clips have 5 dimensions (B, T, C, H, W), this input has {x.dim()}")
        if mask is None:
            return self.backbone(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        real = self.backbone(x[mask])
        out = real.new_zeros(*mask.shape, *real.shape[1:])
        out[mask] = real
        return out


class ClipEncoder(Freezable):
    """A 3-D network applied to a clip: ``(B, T, C, H, W) -> (B, T', F)``.

    Parameters
    ----------
    body
        Module that reads ``(B, C, T, H, W)``, the layout of 3-D convolutions. An output map
        ``(B, F, T', h, w)`` is averaged over h and w; an output ``(B, F)`` becomes the only
        step.
    features
        Number of features F; None reads ``out_features`` of the body.

    All clips of a batch have the same length: padding would change the output, because the network
    mixes frames.
    """

    def __init__(self, body: nn.Module, features: int | None = None) -> None:
        super().__init__()
        self.body = body
        self.out_features = features_of(body) if features is None else features

    def forward(self, x: Float[Tensor, "B T C H W"]) -> Float[Tensor, "B S F"]:
        if x.dim() != 5:
            raise ValueError(f"clips have 5 dimensions (B, T, C, H, W), this input has {x.dim()}")
        y = self.body(x.transpose(1, 2))
        return y.unsqueeze(1) if y.dim() == 2 else y.mean(dim=(3, 4)).transpose(1, 2)


def without_classifier(backbone: nn.Module) -> tuple[nn.Module, int]:
    """Remove the last dense layer of a classifier, such as one of torchvision.

    Returns
    -------
    The same module, and the number of its output features.

    Raises
    ------
    ValueError
        When the module has no dense layer.

    Examples
    --------
    >>> FrameEncoder(*without_classifier(torchvision.models.resnet18()))  # doctest: +SKIP
    """
    dense = [(name, part) for name, part in backbone.named_modules() if isinstance(part, nn.Linear)]
    if not dense or not dense[-1][0]:
        raise ValueError(f"{type(backbone).__name__} has no dense layer to remove")
    name, last = dense[-1]
    backbone.set_submodule(name, nn.Identity())
    return backbone, last.in_features
