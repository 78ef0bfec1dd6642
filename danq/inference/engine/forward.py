"""Codes to probabilities: the plain engine under every command that runs a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import nn

from danq._memory import kept_memory
from danq.device import Precision, autocast, resolve_device, resolve_precision
from danq.errors import InputError
from danq.genome.nucleotide_codes import reverse_complement

if TYPE_CHECKING:
    from danq.datasets.dataset import Dataset

Strand = Literal["both", "forward"]
BATCH_SIZE = 512


@contextmanager
def evaluating(module: nn.Module, device: torch.device) -> Iterator[nn.Module]:
    """The module on a device in evaluation mode, given back as it was."""
    training = module.training
    home = next(iter(module.parameters()), torch.empty(0)).device
    module.eval().to(device)
    try:
        with kept_memory():
            yield module
    finally:
        module.train(training).to(home)


@contextmanager
def _narrowed(module: nn.Module, precision: Precision) -> Iterator[None]:
    """In bf16, dense weights in bfloat16, which autocast would convert at every batch."""
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    weights = [layer.weight for layer in layers]
    try:
        if precision == "bf16":
            for layer in layers:
                narrow = layer.weight.detach().to(torch.bfloat16)
                layer.weight = nn.Parameter(narrow, requires_grad=False)
        yield
    finally:
        for layer, weight in zip(layers, weights, strict=True):
            layer.weight = weight


def predict_codes(
    module: nn.Module,
    codes: UInt8[np.ndarray, "B L"],
    *,
    strand: Strand = "both",
    batch_size: int = BATCH_SIZE,
    device: str = "auto",
    precision: str = "auto",
) -> Float32[np.ndarray, "B K"]:
    """Probabilities of every track for every window.

    Parameters
    ----------
    module
        Codes ``(B, L)`` to logits ``(B, K)``.
    codes
        Windows; any number of them.
    strand
        ``"both"`` averages the probabilities of a window and of its reverse complement, as
        DanQ's authors did; ``"forward"`` reads the window as it is.
    batch_size
        Windows at a time.
    device, precision
        As `danq.device.resolve_device` and `danq.device.resolve_precision` take them.

    Raises
    ------
    InputError
        When ``strand`` is neither word, or as the two resolvers.
    """
    starts = range(0, len(codes), batch_size)
    blocks = (codes[start : start + batch_size] for start in starts)
    done = list(predict_blocks(module, blocks, strand=strand, device=device, precision=precision))
    if not done:
        return np.empty((0, int(module.head.out_features)), np.float32)  # type: ignore[union-attr]
    return np.concatenate(done)


def predict_blocks(
    module: nn.Module,
    blocks: Iterable[UInt8[np.ndarray, "B L"]],
    *,
    strand: Strand = "both",
    device: str = "auto",
    precision: str = "auto",
) -> Iterator[Float32[np.ndarray, "B K"]]:
    """`predict_codes` for a stream of batches, one result a batch."""
    if strand not in ("both", "forward"):
        raise InputError(f"strand is '{strand}'", remedy="Choose 'both' or 'forward'")
    where = resolve_device(device)
    kind = resolve_precision(precision, where)
    with evaluating(module, where), _narrowed(module, kind):
        for codes in blocks:
            # Around the work alone: whoever takes the results may want gradients.
            with torch.inference_mode(), autocast(where, kind):
                out = _probabilities(module, codes, where)
                if strand == "both":
                    out = (out + _probabilities(module, reverse_complement(codes), where)) / 2
            yield out.cpu().numpy()


def _probabilities(
    module: nn.Module, codes: UInt8[np.ndarray, "B L"], device: torch.device
) -> torch.Tensor:
    batch = torch.from_numpy(np.ascontiguousarray(codes)).to(device, non_blocking=True)
    return torch.sigmoid(module(batch).float())


def predict_dataset(
    module: nn.Module,
    dataset: Dataset,
    indices: np.ndarray,
    *,
    strand: Strand = "both",
    batch_size: int = BATCH_SIZE,
    device: str = "auto",
    precision: str = "auto",
) -> Float32[np.ndarray, "N K"]:
    """Probabilities for windows of a dataset, in the order of ``indices``."""
    out = np.empty((len(indices), len(dataset.tracks)), np.float32)
    starts = range(0, len(indices), batch_size)
    blocks = (dataset.codes(indices[start : start + batch_size]) for start in starts)
    results = predict_blocks(module, blocks, strand=strand, device=device, precision=precision)
    for start, result in zip(starts, results, strict=True):
        out[start : start + batch_size] = result
    return out
