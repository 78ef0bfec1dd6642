"""Calls of the other programs; each runs in a separate process.

A program gets the reference model: plain PyTorch, with the same weights as danq's model. The first
call stores its values, which are compared with danq's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.harness.reference_model import ModelSize, ReferenceModel, matched_models, one_hot


@dataclass(frozen=True)
class Peer:
    """What every call needs.

    Attributes
    ----------
    packages
        Folder with the other programs.
    size
        Size of the model.
    values
        Where the values of the first call are stored.
    """

    packages: Path
    size: ModelSize
    values: Path

    def load(self) -> ReferenceModel:
        """Make the programs importable, after danq's libraries; return the model."""
        sys.path.append(str(self.packages))
        return matched_models(self.size, dropout=False)[0].eval()

    def started(self, call: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
        """Make the first call and store its values."""
        np.save(self.values, call().detach().numpy())
        return call


def saturation_mutagenesis(peer: Peer, codes: np.ndarray) -> Callable[[], torch.Tensor]:
    """Tangermeme's ``(1, 4, L, K)`` changes of logits, of all substitutions of one sequence."""
    model, hot = peer.load(), one_hot(codes)
    from tangermeme.saturation_mutagenesis import saturation_mutagenesis as mutate

    options = {"batch_size": peer.size.batch, "device": "cpu", "raw_outputs": True}

    def call() -> torch.Tensor:
        found = mutate(model, hot, **options)
        return found.y_hat - found.y0[:, None, None]

    return peer.started(call)


def greedy_substitution(
    peer: Peer, codes: np.ndarray, track: int, edits: int
) -> Callable[[], torch.Tensor]:
    """Tangermeme's ``(1, 4, L)`` design: the best single-base changes for one track, one by one."""
    model, hot = peer.load(), one_hot(codes)
    from tangermeme.design.greedy_substitution import greedy_substitution as design

    options = {"batch_size": peer.size.batch, "device": "cpu", "max_iter": edits, "tol": 0.0}
    mask = torch.arange(peer.size.tracks) == track
    return peer.started(lambda: design(model, hot, output_mask=mask, **options))


def marginalization(
    peer: Peer, backgrounds: np.ndarray, motif: str, start: int
) -> Callable[[], torch.Tensor]:
    """Tangermeme's ``(2, K)`` mean changes of logits by a motif, on either strand."""
    model, hot = peer.load(), one_hot(backgrounds)
    from tangermeme.marginalize import marginalize
    from tangermeme.utils import reverse_complement

    options = {"start": start, "batch_size": peer.size.batch, "device": "cpu"}

    def call() -> torch.Tensor:
        strands = (motif, reverse_complement(motif))
        found = [marginalize(model, hot, one, **options) for one in strands]
        return torch.stack([(one.y_after - one.y_before).mean(0) for one in found])

    return peer.started(call)


def integrated_gradients(
    peer: Peer, codes: np.ndarray, track: int, steps: int
) -> Callable[[], torch.Tensor]:
    """Captum's ``(B, L)`` integrated gradients for one track, from 0.25 of each base."""
    model, hot = peer.load(), one_hot(codes)
    from captum.attr import IntegratedGradients

    method = IntegratedGradients(model)
    options = {"target": track, "n_steps": steps, "method": "riemann_middle"}
    options["internal_batch_size"] = peer.size.batch
    baseline = torch.full_like(hot, 0.25)
    return peer.started(lambda: method.attribute(hot, baseline, **options).sum(1))
