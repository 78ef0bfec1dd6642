"""Settings of a training by name: hyperparameters, recipe, and how files are read."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from danq.errors import InputError
from danq.training.recipe import BaseRecipe
from danq.vision.task import ModelDefinition, Task

if TYPE_CHECKING:
    from danq.vision.own_data import InputSettings

MAX_NUMBER = 1 << 24
"""Largest hyperparameter."""


class GivenSettings(NamedTuple):
    """A model and a recipe with the settings that were given by name."""

    definition: ModelDefinition
    recipe: BaseRecipe


def with_settings(
    definition: ModelDefinition, recipe: BaseRecipe, given: Mapping[str, Any]
) -> GivenSettings:
    """Set hyperparameters of a model and settings of a recipe by their names.

    Parameters
    ----------
    definition, recipe
        The model, and the settings of its recipe that were given elsewhere.
    given
        Values by name.

    Raises
    ------
    InputError
        When there is no such setting, a value has the wrong type, or a setting of the recipe is
        given twice.
    """
    own = {
        n: checked(n, v, definition) for n, v in given.items() if n in definition.hyperparameters
    }
    others = {name: value for name, value in given.items() if name not in own}
    known = [*definition.hyperparameters, *BaseRecipe.model_fields]
    refuse_unknown(others, BaseRecipe.model_fields, known, f"model '{definition.name}'")
    twice = sorted(set(others) & set(recipe.given()))
    if twice:
        raise InputError(f"'{twice[0]}' is given twice", remedy="Give it once")
    changed = definition.with_hyperparameters(**own)
    return GivenSettings(changed, recipe.replaced(BaseRecipe(**others)) if others else recipe)


def with_input_settings(
    settings: InputSettings, given: Mapping[str, Any], tasks: Iterable[Task]
) -> tuple[InputSettings, dict[str, Any]]:
    """Set how files are read by names, before any file is read.

    Parameters
    ----------
    settings
        Settings that were given elsewhere.
    given
        Values by name: of `InputSettings`, of a recipe, or of a model of one of the tasks.
    tasks
        Tasks that the files may be for.

    Returns
    -------
    The settings, and the values that remain for `with_settings`.

    Raises
    ------
    InputError
        When there is no such setting in any of these.
    """
    names = {field.name for field in fields(settings)}
    models = {name for task in tasks for model in task.models for name in model.hyperparameters}
    known = [*names, *models, *BaseRecipe.model_fields]
    refuse_unknown(given, known, known, "this training")
    BaseRecipe(
        **{n: v for n, v in given.items() if n in BaseRecipe.model_fields and n not in models}
    )
    mine = {name: value for name, value in given.items() if name in names and name not in models}
    if "size" in mine and isinstance(mine["size"], int):
        mine["size"] = (mine["size"], mine["size"])
    mine = {name: tuple(v) if isinstance(v, list) else v for name, v in mine.items()}
    rest = {name: value for name, value in given.items() if name not in mine}
    try:
        return replace(settings, **mine) if mine else settings, rest
    except (TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        names_given = ", ".join(mine)
        raise InputError(f"a value has the wrong type ({names_given}): {error}") from error


def refuse_unknown(
    given: Iterable[str], allowed: Iterable[str], known: Iterable[str], what: str
) -> None:
    """Check that settings exist.

    Raises
    ------
    InputError
        When one does not, with the most similar of the ``known`` names.
    """
    allowed, known = set(allowed), sorted(set(known))
    for name in given:
        if name in allowed:
            continue
        near = difflib.get_close_matches(name, known, 1, 0.6)
        hint = f"Did you mean '{near[0]}'? " if near else ""
        raise InputError(
            f"{what} has no setting '{name}'", remedy=f"{hint}The settings are: {', '.join(known)}"
        )


def checked(name: str, value: Any, definition: ModelDefinition) -> Any:
    """A hyperparameter, whose type has to be that of its default value.

    Raises
    ------
    InputError
        When it has another type, or is negative or too large.
    """
    default = definition.hyperparameters[name]
    if isinstance(default, list | tuple) and not isinstance(value, list | tuple):
        value = [value]
    expected, fits = _expected(default, value)
    if not fits:
        raise InputError(f"'{name}' is {value!r}, not {expected}")
    return value


def _expected(default: Any, value: Any) -> tuple[str, bool]:
    """What a value should be, and whether it is that."""
    if isinstance(default, bool):
        return "true or false", isinstance(value, bool)
    if isinstance(default, int):
        return f"a whole number from 0 to {MAX_NUMBER:,}", _is_whole(value)
    if isinstance(default, float):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return "a number from 0", number and 0 <= value < float("inf")
    if isinstance(default, list | tuple):
        whole = all(_is_whole(one) and one for one in value) and bool(value)
        return f"a list of whole numbers from 1 to {MAX_NUMBER:,}", whole
    return "text", isinstance(value, str)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_NUMBER
