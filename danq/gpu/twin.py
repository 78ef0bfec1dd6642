"""A copy of a model that has fused layers in place of torch's, and shares its parameters."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

from danq.core import CnnRnn, Flatten, Mlp, MultiLabel, OneHotConv, Recurrent
from danq.gpu import fused_conv, fused_lstm
from danq.gpu.fused_conv import FusedConv
from danq.gpu.fused_lstm import FusedLstm
from danq.gpu.padded_dense import PaddedDense

M = TypeVar("M", bound=nn.Module)

WINDOWS = 4
"""Windows of the comparison of a twin with its model."""

VALUE_BOUND = {torch.bfloat16: 0.1, torch.float32: 0.01}
"""Largest difference of values, as a fraction of their norm. Rounding gives a tenth of it (torch's
own convolution rounds to 10 bits); a wrong kernel gives about 1."""

GRADIENT_BOUND = {torch.bfloat16: 0.5, torch.float32: 0.02}
"""As `VALUE_BOUND`, for gradients. In bfloat16, other positions win where scores are nearly equal,
which moves whole values of the gradient."""


def has_hooks(module: nn.Module) -> bool:
    """Whether a call of a layer does more than its forward method."""
    return any(
        layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks
        for layer in module.modules()
    )


def make_twin(
    module: CnnRnn, dtype: torch.dtype, *, fixed: bool, rows: int = 0
) -> tuple[CnnRnn, dict[str, None]]:
    """A twin of a model, or the model if none of its layers can be fused; and reasons for that.

    Parameters
    ----------
    module
        The model; its parameters and all layers that are not replaced are shared.
    dtype
        Type of products and activations of fused layers.
    fixed
        Whether the parameters never change while the twin is in use.
    rows
        Rows of the largest batch of a training, if known.
    """
    reasons: dict[str, None] = {}

    def fused(layer: nn.Module) -> nn.Module:
        reason = None
        if type(layer) is OneHotConv and _is_plain(layer):
            reason = fused_conv.why_not(layer)
            if reason is None:
                return FusedConv(layer, dtype, fixed=fixed)
        elif type(layer) is Recurrent and _is_plain(layer):
            reason = fused_lstm.why_not(layer)
            if reason is None:
                return FusedLstm(layer, dtype, fixed=fixed, rows=rows)
        elif type(layer) is MultiLabel and type(layer.body) is Mlp and _is_plain(layer):
            return PaddedDense([*layer.body, layer.output], dtype, fixed=fixed)
        if reason is not None:
            reasons[reason] = None
        return replaced(layer)

    def replaced(layer: M) -> M:
        parts = {name: part and fused(part) for name, part in layer._modules.items()}
        if all(part is layer._modules[name] for name, part in parts.items()):
            return layer
        copied = copy.copy(layer)
        copied._modules = parts
        return copied

    return replaced(module), reasons


def is_static(twin: CnnRnn) -> bool:
    """Whether a twin's inference launches the same kernels for all batches of one size."""
    return not any(isinstance(layer, nn.RNNBase) for layer in _called(twin))


def _called(module: nn.Module) -> list[nn.Module]:
    """Layers that a call runs, without those whose parameters fused layers use."""
    if isinstance(module, FusedConv | FusedLstm | PaddedDense):
        return []
    return [module, *(layer for part in module.children() for layer in _called(part))]


def difference_of_values(
    module: nn.Module, twin: CnnRnn, dtype: torch.dtype, codes: Tensor
) -> str | None:
    """Compare the logits of a model, called as it is, with those of its twin; None if alike."""
    with torch.no_grad():
        expected, found = module(codes).float(), twin(codes).float()
    share = _difference(found, expected)
    return None if share <= VALUE_BOUND[dtype] else f"logits differ by {share:.2g} of their norm"


def difference_of_gradients(
    module: CnnRnn, twin: CnnRnn, dtype: torch.dtype, codes: Tensor
) -> str | None:
    """Compare the gradients of a model in float32, without dropout, with those of its twin."""
    named = [(name, value) for name, value in module.named_parameters() if value.requires_grad]
    if not named:
        return None
    values = [value for _, value in named]
    training = module.training
    module.eval()
    twin.eval()
    kind = codes.device.type
    try:
        # cuDNN gives no gradients of recurrent layers in evaluation mode.
        with torch.backends.cudnn.flags(enabled=False):
            with torch.autocast(kind, enabled=False):
                out = module(codes)
                probe = torch.linspace(-1, 1, out.numel(), device=out.device).view_as(out)
                expected = torch.autograd.grad((out * probe).sum(), values)
            with torch.autocast(kind, torch.bfloat16, enabled=dtype == torch.bfloat16):
                out = twin(codes).float()
            found = torch.autograd.grad((out * probe).sum(), values)
    finally:
        module.train(training)
        twin.train(training)
    for (name, _), one, other in zip(named, found, expected, strict=True):
        share = _difference(one, other)
        if not share <= GRADIENT_BOUND[dtype]:
            return f"the gradient of {name} differs by {share:.2g} of its norm"
    return None


def example_codes(module: CnnRnn, device: torch.device) -> Tensor:
    """Random windows of the shortest length that a model accepts, with some unknown bases."""
    encoder = module.encoder
    expected = next((part.steps for part in module.modules() if isinstance(part, Flatten)), 8)
    short, length = 0, 1
    while encoder.steps(length) < expected:  # type: ignore[operator]
        short, length = length, 2 * length
    while length - short > 1:
        middle = (short + length) // 2
        if encoder.steps(middle) < expected:  # type: ignore[operator]
            short = middle
        else:
            length = middle
    generator = torch.Generator().manual_seed(0)  # the caller's random numbers stay as they are
    codes = torch.randint(0, 4, (WINDOWS, length), generator=generator, dtype=torch.uint8)
    codes[torch.rand(codes.shape, generator=generator) < 0.05] = 4
    return codes.to(device)


def _difference(found: Tensor, expected: Tensor) -> float:
    norm = float(expected.float().norm())
    # Gradients of layers that have no effect, such as ReLUs that are never active, are 0.
    return float((found.float() - expected.float()).norm()) / max(norm, 1e-6)


def _is_plain(layer: nn.Module) -> bool:
    """Whether the parameters are tensors, not results of a parametrization."""
    return not any("parametrizations" in part._modules for part in layer.modules())
