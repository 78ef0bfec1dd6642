"""Probabilities of whole windows, batch after batch."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import nn

from danq._memory import kept_memory
from danq.device import Precision, autocast, set_threads
from danq.genome.nucleotide_codes import reverse_complement
from danq.models.run_options import RunOptions

if TYPE_CHECKING:
    from danq.datasets.dataset import Dataset

BATCH_SIZE = 512
"""Windows per batch where the options name no batch size."""


@contextmanager
def evaluating(module: nn.Module, device: torch.device) -> Iterator[nn.Module]:
    """Put a module into evaluation mode on a device.

    Yields
    ------
    nn.Module
        The module itself where all its tensors are on the device; the training mode of each
        submodule is restored at the end. Otherwise a copy, and the module does not change.
    """
    device = torch.empty(0, device=device).device  # with its index
    tensors = itertools.chain(module.parameters(), module.buffers())
    if any(tensor.device != device for tensor in tensors):
        module = copy.deepcopy(module).to(device)
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        with kept_memory():
            yield module
    finally:
        for part, training in modes:
            part.training = training


@contextmanager
def _bf16_weights(module: nn.Module, precision: Precision) -> Iterator[None]:
    """In bf16, convert dense weights to bfloat16 once; autocast would do so for every batch."""
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    weights = [layer.weight for layer in layers]
    try:
        if precision == "bf16":
            for layer in layers:
                weight = layer.weight.detach().to(torch.bfloat16)
                layer.weight = nn.Parameter(weight, requires_grad=False)
        yield
    finally:
        for layer, weight in zip(layers, weights, strict=True):
            layer.weight = weight


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
    if options.threads is not None:
        set_threads(options.threads)
    with evaluating(module, device) as ready, _bf16_weights(ready, precision):
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


def _batches(windows: int, options: RunOptions) -> list[slice]:
    size = BATCH_SIZE if options.batch_size is None else options.batch_size
    return [slice(start, start + size) for start in range(0, windows, size)]


def _probabilities(
    module: nn.Module, codes: UInt8[np.ndarray, "B L"], device: torch.device
) -> torch.Tensor:
    batch = torch.from_numpy(np.ascontiguousarray(codes)).to(device, non_blocking=True)
    return torch.sigmoid(module(batch).float())
