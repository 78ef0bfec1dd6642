"""The first convolution of windows that overlap, computed once for each position, on the CPU."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from danq.core import BothStrandsConv, CnnRnn, ConvEncoder, OneHotConv
from danq.core.convolutional_encoder import NormalisedEncoder
from danq.inference.engine.overlapping_windows import OverlappingWindows


class _First(NamedTuple):
    """The first layer of a model.

    Attributes
    ----------
    holder, name
        The module that has it as an attribute, and the name of the attribute.
    outer
        The modules that pass the input on to it.
    layer
        The layer.
    """

    holder: nn.Module
    name: str
    outer: tuple[nn.Module, ...]
    layer: nn.Module | None


def _first_layer(module: CnnRnn) -> _First:
    found = _First(module, "encoder", (module,), module.encoder)
    for kind, name in ((NormalisedEncoder, "encoder"), (ConvEncoder, "first")):
        if type(found.layer) is kind:
            holder, outer = found.layer, (*found.outer, found.layer)
            found = _First(holder, name, outer, getattr(holder, name))
    return found


def shares_convolution(module: nn.Module) -> bool:
    """Whether a model can read `OverlappingWindows`.

    Its first layer is then a convolution of one-hot bases without padding. Hooks of modules that
    read the windows, which would not get them, exclude a model.
    """
    if type(module) is not CnnRnn:
        return False
    first = _first_layer(module)
    hooked = [
        one
        for one in (*first.outer, first.layer)
        if one is not None and (one._forward_hooks or one._forward_pre_hooks)
    ]
    return type(first.layer) in (OneHotConv, BothStrandsConv) and not hooked


class SharedConvolution:
    """A model on the CPU that reads windows that overlap.

    The first layer computes the scores at each position once, and from them the pooled activations
    of every window. The outputs are those of the module for the same batch of windows, bit for bit.

    Parameters
    ----------
    module
        A module for which `shares_convolution` is True. It changes: use a copy.
    """

    def __init__(self, module: CnnRnn) -> None:
        first = _first_layer(module)
        assert isinstance(first.layer, OneHotConv)
        self._layer = first.layer
        setattr(first.holder, first.name, nn.Identity())
        self._later_layers = module

    def __call__(self, windows: OverlappingWindows) -> Float[Tensor, "B K"]:
        """Outputs of the module."""
        pooled = self._layer.overlapping(windows.codes, windows.first, windows.window)
        return self._later_layers(pooled)  # type: ignore[no-any-return]
