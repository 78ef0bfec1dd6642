"""How to train: optimiser, schedule, augmentation, stopping."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from danq.errors import InputError, describe_validation_error

Monitor = Literal["aupr", "loss"]
WINDOWS_SHOWN = 900_000
EPOCHS = (4, 40)


class BaseRecipe(BaseModel):
    """What every training decides, whatever is trained: optimiser, schedule, stopping."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    optimizer: Literal["adamw", "rmsprop"] = "adamw"
    lr: float = Field(default=4e-3, gt=0)
    weight_decay: float = Field(default=1e-2, ge=0)
    schedule: Literal["one-cycle", "constant"] = "one-cycle"
    warmup: float = Field(default=0.2, ge=0, lt=1)
    """Share of all steps over which the one-cycle schedule climbs."""
    batch_size: int = Field(default=256, gt=0)
    epochs: int = Field(default=0, ge=0)
    """Passes over the training examples."""
    patience: int = Field(default=0, ge=0)
    """Epochs without improvement after which training stops; 0 trains to the end."""
    monitor: str = "loss"
    """The figure of the validation split that decides the best epoch: "loss" where it is least,
    any other where it is greatest."""
    clip: float = Field(default=1.0, ge=0)
    """Largest gradient norm; 0 for no limit."""
    frozen_epochs: int = Field(default=0, ge=0)
    """Epochs at the start in which the encoders' convolutions are held still: their weights and
    statistics do not move, and their dropout is off."""
    encoder_lr: float = Field(default=1.0, gt=0)
    """Learning rate of those convolutions as a share of ``lr``."""
    averaging: float = Field(default=0.998, ge=0, lt=1)
    """Decay of the moving average of the weights that is validated and saved; 0 for none."""


class Recipe(BaseRecipe):
    """Every choice of a sequence model's training but the model's shape."""

    epochs: int = Field(default=0, ge=0)
    """Passes over the training windows; 0 for as many as show 900,000 windows, 4 to 40."""
    monitor: Monitor = "aupr"
    """What decides the best epoch on the validation split: mean average precision, or loss."""
    reverse_complement: bool | Literal["both"] = True
    """Show each training window as either strand, by chance; "both" shows it as both in each
    epoch."""
    max_shift: int = Field(default=0, ge=0)
    """Largest shift of a training window in bases, either way."""
    base_rates: bool = True
    """Start each track's output at the log odds of its base rate."""
    seed_filters: str = "auto"
    """"auto", "none", or a motif file (MEME or JASPAR)."""

    def settled(self, windows: int) -> Recipe:
        """The recipe with its number of epochs decided for a training split of so many windows."""
        if self.epochs:
            return self
        least, most = EPOCHS
        return self.model_copy(
            update={"epochs": min(most, max(least, round(WINDOWS_SHOWN / max(1, windows))))}
        )


RECIPES: dict[str, Recipe] = {
    "default": Recipe(),
    # Quang & Xie, Nucleic Acids Research 2016.
    "paper": Recipe(
        optimizer="rmsprop",
        lr=1e-3,
        weight_decay=0.0,
        schedule="constant",
        batch_size=100,
        epochs=60,
        patience=5,
        monitor="loss",
        clip=0.0,
        averaging=0.0,
        reverse_complement="both",  # DeepSEA's files hold the reverse complements
        base_rates=False,
        seed_filters="none",
    ),
}
DEFAULT_RECIPE = "default"


def named_recipe(name: str, **changes: Any) -> Recipe:
    """A recipe of `RECIPES`, some choices changed.

    Raises
    ------
    InputError
        When no recipe has that name, or a change is not valid.
    """
    if name not in RECIPES:
        raise InputError(f"no recipe is named '{name}'", remedy=f"Choose one of {list(RECIPES)}")
    try:
        return Recipe.model_validate(RECIPES[name].model_dump() | changes)
    except ValidationError as error:
        raise InputError(
            f"recipe '{name}' cannot take {changes}: {describe_validation_error(error)}"
        ) from error
