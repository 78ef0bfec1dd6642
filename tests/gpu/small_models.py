"""Small models of every kind, and windows for them."""

from __future__ import annotations

import torch
from torch import Tensor

from danq.core import CnnRnn
from danq.models.architecture import Architecture, build_module

LENGTH = 60
SMALL = {"filters": 6, "width": 6, "pool": 9, "hidden": 8, "dense": (13,)}

KINDS: dict[str, dict[str, object]] = {
    "danq": {},
    "no dense layer": {"dense": ()},
    "stages": {"stages": ({"channels": 10, "width": 2, "pool": 1, "dropout": 0.2},)},
    "two layers": {"layers": 2, "dense": (5, 4), "dense_dropout": 0.1},
    "one direction": {"bidirectional": False, "pooling": "mean"},
    "gru": {"temporal": "gru"},
    "tcn": {"temporal": "tcn", "pooling": "attention"},
    "hard gates": {"gates": "hard"},
    "several widths": {"further_widths": (9, 3), "step_stages": ({"channels": 6, "widths": (3,)},)},
    "members": {
        "members": 2,
        "both_strands": True,
        "encoder_norm": True,
        "pooling": "mean-max",
        "pooled_dropout": 0.1,
        "dense": (),
    },
}


def small_model(kind: str = "danq", seed: int = 0, **changes: object) -> CnnRnn:
    """A model of 5 tracks for windows of `LENGTH` bases."""
    torch.manual_seed(seed)
    settings = {**SMALL, **KINDS[kind], **changes}
    return build_module(Architecture.model_validate(settings), 5, LENGTH)


def codes(rows: int, length: int = LENGTH, seed: int = 0, unknown: float = 0.1) -> Tensor:
    """Random windows, a share of their bases unknown."""
    generator = torch.Generator().manual_seed(seed)
    found = torch.randint(0, 4, (rows, length), generator=generator, dtype=torch.uint8)
    found[torch.rand(found.shape, generator=generator) < unknown] = 4
    return found
