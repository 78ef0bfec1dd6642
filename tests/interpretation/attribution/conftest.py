"""Small models whose attributions can be computed by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from danq.models import Model, RunOptions
from danq.models.architecture import Architecture
from danq.models.model_file import untrained
from danq.models.targets import TargetGroup

WINDOW, BIN = 60, 20
SHAPE = {"filters": 8, "width": 6, "pool": 3, "hidden": 5, "dense": (7,)}


@pytest.fixture(scope="session")
def make() -> Callable[..., Model]:
    """Makes a model with random weights that are large enough for clear effects."""

    def make(
        seed: int = 0,
        tracks: tuple[str, ...] = ("Reb1", "Abf1"),
        targets: tuple[TargetGroup, ...] = (),
        scale: float = 3.0,
        **changes,
    ) -> Model:
        torch.manual_seed(seed)
        architecture = Architecture(**{**SHAPE, **changes})
        model = untrained("test", architecture, tracks, WINDOW, BIN, targets)
        with torch.no_grad():
            for weight in model.module.parameters():
                weight.mul_(scale)
        options = RunOptions("cpu", "fp32", tolerance=0.0)
        return Model(model.module, model.spec, options=options)

    return make


@pytest.fixture(scope="session")
def model(make) -> Model:
    return make()
