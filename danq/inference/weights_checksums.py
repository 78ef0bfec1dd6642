"""Checksums of the weights of models in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch

from danq.models import Model


def weights_checksums(models: Sequence[Model]) -> list[str]:
    """SHA-256 of the weights of each model in memory.

    The checksum of the file does not suffice: a model may have changed since it was loaded.
    """
    return [_weights_checksum(model) for model in models]


def _weights_checksum(model: Model) -> str:
    sha = hashlib.sha256()
    for name, value in sorted(model.module.state_dict().items()):
        sha.update(f"{name} {value.dtype} {tuple(value.shape)} ".encode())
        # As uint8, because numpy has no bfloat16.
        plain = value.detach().cpu().contiguous().flatten().view(torch.uint8)
        sha.update(plain.numpy().data)
    return sha.hexdigest()
