"""The preset and the recipe that suit a dataset, where none is named."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

from danq.datasets.dataset import Dataset
from danq.errors import InputError
from danq.models import DEFAULT_PRESET
from danq.training.config import DataSettings, ModelSettings, RunConfig
from danq.training.recipe import DEFAULT_RECIPE, Recipe

SEQUENCE_PRESET = "danq-mpra"
"""Preset for standalone sequences with amounts."""

PRESET_RECIPES = {"danq-mpra": "mpra"}
"""Recipes that were chosen together with a preset."""

WINDOW_PER_SHIFT = 25
"""Bases of a window for each base of the largest shift of such a recipe: a sequence that fills its
window loses the bases that leave it."""


def suited(settings: RunConfig, dataset: Dataset) -> RunConfig:
    """Settings with a preset and a recipe that suit a dataset, where none is named.

    The preset is "danq-mpra" for standalone sequences whose tracks are all amounts, otherwise
    "danq-small". The recipe is "mpra" for the preset "danq-mpra", otherwise "default". The largest
    shift of the recipe "mpra" is one base per `WINDOW_PER_SHIFT` bases of the window, at most 4.

    Raises
    ------
    InputError
        When a hyperparameter that was given is not allowed with the preset.
    """
    model = settings.model
    if "preset" not in model.table:
        amounts = {group.kind for group in dataset.targets} == {"amounts"}
        preset = SEQUENCE_PRESET if dataset.standalone and amounts else DEFAULT_PRESET
        model = ModelSettings(**{"preset": preset, **model.table})
    given = settings.recipe.given()
    recipe = Recipe(**({"base": PRESET_RECIPES.get(model.preset, DEFAULT_RECIPE)} | given))
    if recipe.base in PRESET_RECIPES.values() and "max_shift" not in given:
        shift = min(recipe.max_shift, dataset.window // WINDOW_PER_SHIFT)
        recipe = Recipe(**(recipe.given() | {"max_shift": shift}))
    return replace(settings, model=model, recipe=recipe)


def check_hyperparameters(settings: RunConfig, data: DataSettings) -> None:
    """Check the hyperparameters before the dataset is opened or built.

    Raises
    ------
    InputError
        When a value is not allowed with the named preset or, without one, with any preset that may
        suit the dataset.
    """
    try:
        _ = settings.model.architecture
    except InputError:
        # Windows of a genome never have the preset of sequences.
        if "preset" in settings.model.table or "genome" in data.table:
            raise
        with suppress(InputError):
            _ = ModelSettings(**{"preset": SEQUENCE_PRESET, **settings.model.table}).architecture
            return
        raise


def masking_padding(settings: RunConfig, dataset: Dataset) -> RunConfig:
    """Settings of a model that masks padding if sequences are padded, unless they say otherwise.

    A recipe that moves sequences within their windows (``max_shift``) teaches the model to ignore
    padding; a model that masks it would see no movement.
    """
    name = "masks_padding"
    table: dict[str, Any] = settings.model.table
    if dataset.values.lengths is None or name in table or settings.recipe.max_shift:
        return settings
    own: dict[str, Any] = {"preset": settings.model.preset, **table, name: True}
    return replace(settings, model=ModelSettings(**own))
