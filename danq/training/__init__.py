"""Training: recipes, seeded filters, the loop, checkpoints."""

from danq.training.config import RunConfig, read_config
from danq.training.enriched_motifs import Seed, apply_seeds, find_seeds
from danq.training.fit import Fit, TrainingDiverged
from danq.training.recipe import RECIPES, Recipe
from danq.training.train import TrainingResult, train

__all__ = [
    "RECIPES",
    "Fit",
    "Recipe",
    "RunConfig",
    "Seed",
    "TrainingDiverged",
    "TrainingResult",
    "apply_seeds",
    "find_seeds",
    "read_config",
    "train",
]
