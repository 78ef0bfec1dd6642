"""The switch between torch's layers and the fused layers."""

from __future__ import annotations

import logging
from functools import lru_cache

import torch
from torch import nn

from danq.core import CnnRnn, OneHotConv
from danq.device import Precision, autocast
from danq.gpu import triton_cache
from danq.gpu import twin as twins
from danq.gpu.batch_graph import BatchGraph
from danq.gpu.graph import current_device

log = logging.getLogger("danq")

_compared: set[tuple[str, ...]] = set()
"""Models whose fused layers agreed with torch's layers in this process."""


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
    if not _is_card(device):
        return module
    return _checked_twin(module, device, precision, training=False) or module


def accelerate_training(
    module: nn.Module, device: torch.device, precision: Precision, *, rows: int = 0
) -> nn.Module:
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
    rows
        Rows of the largest batch. With it, the result of a smaller batch does not depend on whether
        a larger one came before it, as it must not in a training that is resumed.

    Returns
    -------
    A module that is called like ``module``. Each call in training mode must be followed by its
    backward pass before the next call. It is ``module`` itself on other devices than CUDA, and
    where the fused layers do not apply; a notice gives the reason.
    """
    if not _is_card(device):
        return module
    return _checked_twin(module, device, precision, training=True, rows=rows) or module


def _is_card(device: torch.device) -> bool:
    return device.type == "cuda"


def _checked_twin(
    module: nn.Module, device: torch.device, precision: Precision, *, training: bool, rows: int = 0
) -> nn.Module | None:
    """The fused form of a module, or None after a notice."""
    reason = _why_not(module, device)
    if reason is not None:
        _notice(f"torch's layers run on {device}, because {reason}")
        return None
    if triton_cache.use_cache_folder():
        _notice("compiling kernels for this GPU; this takes a minute and is done once")
    assert isinstance(module, CnnRnn)
    try:
        return _twin(module, device, precision, training=training, rows=rows)
    except torch.cuda.OutOfMemoryError:
        raise
    except Exception as error:
        # Compilers and drivers fail in many ways, and torch's layers give the same result.
        log.warning(
            "torch's layers run on %s, because a fused layer failed (%s: %s)",
            device,
            type(error).__name__,
            error,
        )
        return None


def _twin(
    module: CnnRnn, device: torch.device, precision: Precision, *, training: bool, rows: int
) -> nn.Module | None:
    """The fused form of a module, if it computes what the module computes.

    A kernel that a compiler or a new card breaks must not change results silently, so each model is
    compared once in a process.
    """
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    twin, reasons = twins.make_twin(module, dtype, fixed=not training, rows=rows)
    for reason in reasons:
        _notice(f"torch's layers run on {device} for a part of the model: {reason}")
    if twin is module:
        return None
    key = (str(module), str(device), precision, str(training))
    if key not in _compared:
        codes = twins.example_codes(module, device)
        with current_device(device), autocast(device, precision):
            compare = twins.difference_of_gradients if training else twins.difference_of_values
            problem = compare(module, twin, dtype, codes)
        if problem is not None:
            log.warning(
                "torch's layers run on %s, because fused layers compute other results: %s",
                device,
                problem,
            )
            return None
        _compared.add(key)
    if training:
        return twin
    return BatchGraph(twin, device, precision, static=twins.is_static(twin))


def _why_not(module: nn.Module, device: torch.device) -> str | None:
    """Why fused layers cannot be used."""
    if not triton_cache.is_installed():
        return "Triton is not installed; install danq with the extra 'gpu'"
    if device.type == "cuda":
        if torch.version.hip is not None:
            return "danq's kernels are for NVIDIA GPUs"
        if torch.cuda.get_device_capability(device) < (8, 0):
            return "danq's kernels need compute capability 8.0"
    if type(module) is not CnnRnn:
        return f"there are no fused layers for a {type(module).__name__}"
    if not any(isinstance(layer, OneHotConv) for layer in module.encoder.modules()):
        return "the model does not read DNA"
    return "the model has hooks" if twins.has_hooks(module) else None


@lru_cache
def _notice(text: str) -> None:
    """Show a notice once in a process."""
    log.info(text)
