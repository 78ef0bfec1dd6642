"""Probabilities of whole windows, batch after batch."""

from __future__ import annotations

import copy
from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import nn

from danq._memory import kept_memory
from danq.device import autocast, set_threads
from danq.genome.nucleotide_codes import reverse_complement
from danq.models.run_options import RunOptions

if TYPE_CHECKING:
    from danq.datasets.dataset import Dataset

M = TypeVar("M", bound=nn.Module)

BATCH_SIZE = 512
"""Windows per batch where the options name no batch size."""


def evaluation_copy(module: M, device: torch.device) -> M:
    """A copy of a module on a device, in evaluation mode; the module does not change.

    Where all parameters and buffers are on the device, the copy shares them, so it takes no
    memory for weights. Otherwise it has its own. Hooks are shared: forward hooks of the module and
    its layers run in the copy, and receive the layers of the copy.
    """
    device = torch.empty(0, device=device).device  # with its index
    tensors = [*module.parameters(), *module.buffers()]
    on_device = all(tensor.device == device for tensor in tensors)
    shared: list[object] = list(tensors) if on_device else []
    for layer in module.modules():
        # Copies of hooks would act on copies of their objects, and outputs that a layer keeps as
        # attributes cannot be copied.
        shared += [
            value
            for name, value in vars(layer).items()
            if "_hooks" in name or isinstance(value, torch.Tensor)
        ]
    copied = copy.deepcopy(module, {id(value): value for value in shared}).eval()
    return copied if on_device else copied.to(device)


def _convert_dense_weights(copied: nn.Module) -> None:
    """Convert dense weights to bfloat16 once; autocast would do so for every batch."""
    for layer in copied.modules():
        # A weight that a parametrization computes is not a parameter of the layer.
        if isinstance(layer, nn.Linear) and "weight" in layer._parameters:
            weight = layer.weight.detach().to(torch.bfloat16)
            layer.weight = nn.Parameter(weight, requires_grad=False)


def predict_codes(
    module: nn.Module, codes: UInt8[np.ndarray, "B L"], options: RunOptions | None = None
) -> Float32[np.ndarray, "B K"]:
    """Probabilities of all tracks for all windows.

    Parameters
    ----------
    module
        Maps codes ``(B, L)`` to logits ``(B, K)``.
    codes
        Windows; any number of them.
    options
        How the model runs; None selects the defaults. ``tolerance`` does not apply.
    """
    options = options or RunOptions()
    blocks = (codes[batch] for batch in _batches(len(codes), options))
    done = list(predict_blocks(module, blocks, options))
    if not done:
        return np.empty((0, int(module.head.out_features)), np.float32)  # type: ignore[union-attr]
    return np.concatenate(done)


def predict_blocks(
    module: nn.Module,
    blocks: Iterable[UInt8[np.ndarray, "B L"]],
    options: RunOptions | None = None,
) -> Generator[Float32[np.ndarray, "B K"], None, None]:
    """`predict_codes` for a stream of batches, whose size is up to the caller.

    Yields
    ------
    np.ndarray
        Probabilities of a batch.
    """
    options = options or RunOptions()
    device, precision = options.torch_device, options.resolved_precision
    with kept_memory():
        ready = _prepared(module, options)
        for codes in blocks:
            # Not around the yield: the consumer of the stream may need gradients.
            with torch.inference_mode(), autocast(device, precision):
                out = _probabilities(ready, codes, device)
                if options.strand == "both":
                    out = (out + _probabilities(ready, reverse_complement(codes), device)) / 2
            yield out.cpu().numpy()


def predict_dataset(
    module: nn.Module,
    dataset: Dataset,
    indices: np.ndarray,
    options: RunOptions | None = None,
) -> Float32[np.ndarray, "N K"]:
    """`predict_codes` for windows of a dataset, in the order of ``indices``."""
    options = options or RunOptions()
    out = np.empty((len(indices), len(dataset.tracks)), np.float32)
    batches = _batches(len(indices), options)
    blocks = (dataset.codes(indices[batch]) for batch in batches)
    for batch, result in zip(batches, predict_blocks(module, blocks, options), strict=True):
        out[batch] = result
    return out


def dataset_logits(
    module: nn.Module,
    dataset: Dataset,
    indices: np.ndarray,
    options: RunOptions | None = None,
) -> Float32[np.ndarray, "S N K"]:
    """Logits of windows of a dataset: of the forward strand, then of the other if it is used."""
    options = options or RunOptions()
    device, precision = options.torch_device, options.resolved_precision
    strands = 2 if options.strand == "both" else 1
    out = np.empty((strands, len(indices), len(dataset.tracks)), np.float32)
    with kept_memory():
        ready = _prepared(module, options)
        for batch in _batches(len(indices), options):
            codes = dataset.codes(indices[batch])
            with torch.inference_mode(), autocast(device, precision):
                out[0, batch] = _logits(ready, codes, device).cpu().numpy()
                if strands == 2:
                    out[1, batch] = _logits(ready, reverse_complement(codes), device).cpu().numpy()
    return out


def _prepared(module: M, options: RunOptions) -> M:
    """The module as the options run it."""
    if options.threads is not None:
        set_threads(options.threads)
    ready = evaluation_copy(module, options.torch_device)
    if options.resolved_precision == "bf16":
        _convert_dense_weights(ready)
    return ready


def _batches(windows: int, options: RunOptions) -> list[slice]:
    size = BATCH_SIZE if options.batch_size is None else options.batch_size
    return [slice(start, start + size) for start in range(0, windows, size)]


def _probabilities(
    module: nn.Module, codes: UInt8[np.ndarray, "B L"], device: torch.device
) -> torch.Tensor:
    return torch.sigmoid(_logits(module, codes, device))


def _logits(
    module: nn.Module, codes: UInt8[np.ndarray, "B L"], device: torch.device
) -> torch.Tensor:
    batch = torch.from_numpy(np.ascontiguousarray(codes)).to(device, non_blocking=True)
    return module(batch).float()
