"""Training: recipes, initial weights, the training loop, checkpoints."""

from danq.training.config import (
    DataSettings,
    ModelSettings,
    RunConfig,
    RunSettings,
    read_config,
)
from danq.training.fit import Fit, TrainingDiverged
from danq.training.folds import Folds, FoldsResult, train_folds
from danq.training.recipe import RECIPES, Recipe
from danq.training.session import TrainingResult
from danq.training.train import train

__all__ = [
    "RECIPES",
    "DataSettings",
    "Fit",
    "Folds",
    "FoldsResult",
    "ModelSettings",
    "Recipe",
    "RunConfig",
    "RunSettings",
    "TrainingDiverged",
    "TrainingResult",
    "read_config",
    "train",
    "train_folds",
]
