"""Recipes: optimizer, learning-rate schedule, augmentation, stopping."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from danq.errors import InputError, describe_validation_error
from danq.models.targets import MAX_BINS, MAX_WEIGHT

TOTAL_WINDOWS = {"mpra": 50_000}
"""Training windows, counted over all epochs, that an automatic number of epochs aims at, by base of
the recipe; 900,000 for others."""

AMOUNT_RATE = 2e-3
"""Learning rate of the default recipe for datasets without peaks."""

EPOCHS = (4, 40)
"""Limits of an automatic number of epochs."""

MAX_SEGMENT = 10_000
"""Largest number of bins of a training segment."""


class Settings(BaseModel):
    """Settings that remember which of their fields were given.

    Raises
    ------
    InputError
        When a field does not exist or its value is not allowed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def __init__(self, /, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InputError(describe_validation_error(error)) from error

    def given(self) -> dict[str, Any]:
        """The fields that were given, as TOML can store them."""
        return self.model_dump(mode="json", include=self.model_fields_set)

    def replaced(self, other: Settings) -> Self:
        """The same settings with the fields that were given to ``other``."""
        return type(self)(**(self.given() | other.given()))


class BaseRecipe(Settings):
    """Settings of every training, for sequence and vision models."""

    optimizer: Literal["adamw", "rmsprop"] = "adamw"
    lr: float = Field(default=4e-3, gt=0)
    """Learning rate; the peak of the one-cycle schedule."""
    weight_decay: float = Field(default=1e-2, ge=0)
    schedule: Literal["one-cycle", "constant"] = "one-cycle"
    warmup: float = Field(default=0.2, ge=0, lt=1)
    """Fraction of all steps in which the learning rate of the one-cycle schedule increases."""
    batch_size: int = Field(default=256, gt=0)
    epochs: int = Field(default=0, ge=0)
    """Number of epochs."""
    patience: int = Field(default=0, ge=0)
    """Epochs without improvement after which training stops; 0 for no early stopping."""
    monitor: str = "loss"
    """Validation metric that selects the best epoch: the lowest "loss", or the highest value of
    any other metric. "epoch" keeps the last epoch."""
    clip: float = Field(default=1.0, ge=0)
    """Largest gradient norm; 0 for no limit."""
    frozen_epochs: int = Field(default=0, ge=0)
    """Epochs at the start in which the encoders' convolutions are frozen: weights and running
    statistics do not change, and their dropout is off."""
    encoder_lr: float = Field(default=1.0, gt=0)
    """Learning rate of those convolutions as a multiple of ``lr``."""
    averaging: float = Field(default=0.998, ge=0, lt=1)
    """Decay of the moving average of the weights; the average is validated and saved. 0 for no
    averaging."""


# Quang & Xie, Nucleic Acids Research 2016.
_PAPER = {
    "optimizer": "rmsprop",
    "lr": 1e-3,
    "weight_decay": 0.0,
    "schedule": "constant",
    "batch_size": 100,
    "epochs": 60,
    "patience": 5,
    "monitor": "loss",
    "clip": 0.0,
    "averaging": 0.0,
    "reverse_complement": "both",  # DeepSEA's files hold the reverse complements
    "base_rates": False,
    "initial_motifs": "none",
}
# Chosen on random yeast promoters, see benchmarks/studies/promoters.md.
_MPRA = {
    "lr": 3e-3,
    "weight_decay": 5e-2,
    "batch_size": 64,
    "max_shift": 4,
    "initial_motifs": "none",
}
_BASES: dict[str, dict[str, Any]] = {"default": {}, "paper": _PAPER, "mpra": _MPRA}
DEFAULT_RECIPE = "default"


class Recipe(BaseRecipe):
    """Settings of the training of a sequence model.

    Parameters
    ----------
    values
        ``base``, and the fields that differ from it.

    Raises
    ------
    InputError
        When there is no such base or field, or a value is not allowed.

    Examples
    --------
    >>> Recipe(base="paper", epochs=3).optimizer
    'rmsprop'
    """

    base: str = DEFAULT_RECIPE
    """Recipe that gives the values of all other fields: "default", "paper", or "mpra" for thousands
    of sequences with measured amounts."""
    epochs: int = Field(default=0, ge=0)
    """Number of epochs; 0 is automatic: about 900,000 training windows in total (50,000 with the
    base "mpra"), 4 to 40 epochs."""
    lr: float = Field(default=4e-3, gt=0)
    """Learning rate; the peak of the one-cycle schedule. The default recipe has 2e-3 for datasets
    without peaks."""
    monitor: Literal["auto", "aupr", "pearson", "loss"] = "auto"
    """Validation metric that selects the best epoch: mean AUPR over tracks of peaks, mean Pearson
    correlation over tracks of amounts, or loss; "auto" is the one for the dataset's tracks, and
    loss if it has both kinds."""
    amount_loss: Literal["auto", "gaussian", "poisson", "soft-bins"] = "auto"
    """Loss of amounts (`danq.models.targets`). "auto": "soft-bins" for the preset dream-rnn; else
    "poisson" if all amounts are 0 or more, without a transform, and whole numbers or from a
    genome; else "gaussian". Profiles have their own."""
    bins: int = Field(default=18, ge=2, le=MAX_BINS)
    """Number of soft bins, from the lowest to the highest training amount, both rounded to whole
    numbers."""
    peak_weight: float = Field(default=1.0, gt=0, le=MAX_WEIGHT)
    """Weight of tracks of peaks in the loss, if there are amounts too."""
    amount_weight: float = Field(default=1.0, gt=0, le=MAX_WEIGHT)
    """Weight of tracks of amounts in the loss, if there are peaks too."""
    reverse_complement: bool | Literal["both"] = True
    """Replace a random half of the training windows by their reverse complements; "both" shows
    every window on both strands in each epoch."""
    max_shift: int = Field(default=0, ge=0)
    """Largest random shift of a training window, in bases and in either direction. A standalone
    sequence moves within its window; its padding is then not masked."""
    segment_bins: int = Field(default=1, gt=0, le=MAX_SEGMENT)
    """Bins of a training segment. Above 1, the model reads segments of overlapping windows, for
    tracks of peaks alone: the convolutions and the temporal layer run once over a segment, the
    dense layers once for each of its bins. An epoch cuts the training chromosomes into segments
    once. Windows of validation and of all later commands stay as they are. On a GPU, torch's
    layers train such a model."""
    segment_spacing: int = Field(default=100, gt=0)
    """Bases from one bin of a segment to the next: a multiple of the dataset's stride and of the
    bases of a step of the model (its pool)."""
    segment_margin: int = Field(default=0, ge=0)
    """Bases at each end of a window that the temporal layer reads and the dense layers do not, if
    segments are used; a multiple of the bases of a step."""
    base_rates: bool = True
    """Initialise the bias of each track's output as the log odds of its positive rate."""
    freeze: Literal["none", "encoder", "temporal"] = "none"
    """Layers of a pretrained model that are never trained: "encoder" for the convolutions,
    "temporal" for the convolutions and the temporal layers after them."""
    pretrained_lr: float = Field(default=0.1, gt=0)
    """Learning rate of layers that are taken from a pretrained model, as a multiple of ``lr``
    (discriminative learning rates: Howard & Ruder, ACL 2018)."""
    initial_motifs: str = "auto"
    """Motifs that initialise filters: "auto" for k-mers enriched in the training data (up to a
    million training windows) or, without peaks, for those that correlate with amounts; "none"; or a
    file that `danq.read_motifs` reads."""

    def __init__(self, /, **values: Any) -> None:
        base = values.get("base", DEFAULT_RECIPE)
        if base not in [*_BASES]:  # a list also compares values that cannot be hashed
            raise InputError(
                f"no recipe is named '{base}'", remedy=f"Choose one of {', '.join(_BASES)}"
            )
        super().__init__(**(_BASES[base] | values))
        self.model_fields_set.intersection_update(values)

    @field_validator("initial_motifs", mode="before")
    @classmethod
    def _path_as_text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, Path) else value

    @model_validator(mode="after")
    def _check_segments(self) -> Self:
        if self.segment_bins > 1 and self.max_shift:
            raise ValueError(f"max_shift is {self.max_shift}; with segments it must be 0")
        if self.segment_bins > 1 and self.reverse_complement == "both":
            raise ValueError("reverse_complement is 'both'; with segments it is true or false")
        return self

    def resolved(
        self, windows: int, targets: Sequence[str] = ("peaks",), *, oriented: bool = False
    ) -> Recipe:
        """The recipe with its number of epochs, learning rate, monitor and strands set.

        Parameters
        ----------
        windows
            Windows of the training split.
        targets
            Kinds of the dataset's tracks: "peaks", "amounts" or "profiles".
        oriented
            Whether only the given strand of each window has a meaning: no window is then
            reverse-complemented.

        Raises
        ------
        InputError
            When the recipe asks for reverse complements of oriented windows, or for a monitor that
            the tracks do not have.
        """
        reverse = self.reverse_complement
        if oriented and reverse and "reverse_complement" in self.model_fields_set:
            raise InputError(
                f"reverse_complement is {reverse!r}, but the sequences are oriented: their reverse "
                "complements are other sequences",
                remedy="Set reverse_complement to false, or leave it out",
            )
        monitor = self.monitor
        peaks, amounts = "peaks" in targets, set(targets) > {"peaks"} or "peaks" not in targets
        if (monitor == "aupr" and not peaks) or (monitor == "pearson" and not amounts):
            raise InputError(
                f"the monitor '{monitor}' is for tracks of {'peaks' if amounts else 'amounts'}, "
                "and the dataset has none",
                remedy="Choose 'loss' or 'auto'",
            )
        if monitor == "auto":
            monitor = "loss" if peaks and amounts else "aupr" if peaks else "pearson"
        least, most = EPOCHS
        total = TOTAL_WINDOWS.get(self.base, 900_000)
        epochs = self.epochs or min(most, max(least, round(total / max(1, windows))))
        update: dict[str, Any] = {"epochs": epochs, "monitor": monitor}
        if not peaks and self.base == DEFAULT_RECIPE and "lr" not in self.model_fields_set:
            update["lr"] = AMOUNT_RATE
        return self.model_copy(update=update | ({"reverse_complement": False} if oriented else {}))


RECIPES: dict[str, Recipe] = {name: Recipe(base=name) for name in _BASES}
