"""Encoders of clips: a network for images at every frame, or a network for volumes at once."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor, nn

from danq.core.freezing import Freezable
from danq.core.sizes import features_of


class FrameEncoder(Freezable):
    """One image network applied to every frame: ``(B, T, C, H, W) -> (B, T, F)``.

    A network that keeps a map, ``(B, C, H, W) -> (B, F, h, w)``, gives ``(B, T, F, h, w)``.

    Parameters
    ----------
    backbone
        Any module from ``(B, C, H, W)`` to ``(B, F)`` or ``(B, F, h, w)``.
    features
        F; None takes the backbone's ``out_features``.
    frozen
        Begin frozen, as `freeze` does.

    A recipe's ``frozen_epochs`` holds the backbone still at first and trains it afterwards.
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
        """Features of each frame; the backbone sees real frames only, padded ones give 0."""
        if x.dim() != 5:
            raise ValueError(f"clips have 5 dimensions (B, T, C, H, W), this input has {x.dim()}")
        if mask is None:
            return self.backbone(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        real = self.backbone(x[mask])
        out = real.new_zeros(*mask.shape, *real.shape[1:])
        out[mask] = real
        return out


class ClipEncoder(Freezable):
    """A volume network applied to a clip: ``(B, T, C, H, W) -> (B, T', F)``.

    Parameters
    ----------
    body
        Module over ``(B, C, T, H, W)``, the layout of 3-D convolutions. A map ``(B, F, T', h, w)``
        is averaged over its area, a vector ``(B, F)`` becomes the one step.
    features
        F; None takes the body's ``out_features``.

    Clips of a batch are equally long: a volume network mixes frames, so padding would change it.
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
    """Take the last dense layer off a classifier, as those of torchvision are built.

    Returns
    -------
    The same module, and the number of features that it now gives.

    Raises
    ------
    ValueError
        When it has no dense layer.

    Examples
    --------
    >>> FrameEncoder(*without_classifier(torchvision.models.resnet18()))  # doctest: +SKIP
    """
    dense = [(name, part) for name, part in backbone.named_modules() if isinstance(part, nn.Linear)]
    if not dense or not dense[-1][0]:
        raise ValueError(f"{type(backbone).__name__} holds no dense layer to take off")
    name, last = dense[-1]
    backbone.set_submodule(name, nn.Identity())
    return backbone, last.in_features
