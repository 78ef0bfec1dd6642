"""Training: recipes, initial weights, the training loop, checkpoints."""

from danq.training.config import (
    DataSettings,
    ModelSettings,
    RunConfig,
    RunSettings,
    read_config,
)
from danq.training.fit import Fit, TrainingDiverged
from danq.training.recipe import RECIPES, Recipe
from danq.training.session import TrainingResult
from danq.training.train import train

__all__ = [
    "RECIPES",
    "DataSettings",
    "Fit",
    "ModelSettings",
    "Recipe",
    "RunConfig",
    "RunSettings",
    "TrainingDiverged",
    "TrainingResult",
    "read_config",
    "train",
]
