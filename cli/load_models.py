"""Models that a command runs, loaded with its options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

RUN_NAMES = ("device", "precision", "batch_size", "threads", "strand", "tolerance", "measured")
"""Parameters that belong to a loaded model."""


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of a command without the options that were not given."""
    return {name: value for name, value in values.items() if value is not None}


def pop(values: dict[str, Any], *names: str) -> dict[str, Any]:
    """Remove parameters from ``values``, and return those that were given."""
    return given({name: values.pop(name) for name in names if name in values})


def split_models(paths: Sequence[Path], noun: str) -> tuple[list[Path], list[Path]]:
    """Split arguments into models, which come first, and the inputs after them.

    A model is a folder or a model file, by its content. A pipe is not opened: it is a model where
    another argument follows before the first input. ``noun`` names the inputs in errors.
    """
    kinds = [_is_model(path) for path in paths]
    count = kinds.index(False) if False in kinds else len(kinds) - (kinds[-1] is None)
    if True in kinds[count:]:
        late = paths[count + kinds[count:].index(True)]
        raise click.UsageError(
            f"Give all models first, then the {noun}: {late} is a model, and it follows "
            f"{paths[count]}, which is not one."
        )
    # The error of the loader says what the file is.
    count = count or min(1, len(paths) - 1)
    return list(paths[:count]), list(paths[count:])


def _is_model(path: Path) -> bool | None:
    """Whether an argument is a model; None for a pipe."""
    from danq.files.open_input import open_raw
    from danq.files.recognise import is_safetensors

    if path.is_dir():
        return True
    if str(path) == "-":
        return False
    if not path.is_file():
        return None
    with open_raw(path) as file:
        return is_safetensors(file.read(9))


def load_models(
    paths: Sequence[Path],
    values: dict[str, Any],
    *,
    input_option: str | None = None,
    ensembles: bool = True,
) -> list[Any]:
    """Load models with the run options among the parameters of a command, which are taken out.

    The folder of an ensemble gives all its models; without ``ensembles`` it is refused.
    ``input_option`` is the option that was given in place of the last argument, an input.
    """
    from danq.device import set_threads
    from danq.errors import InputError
    from danq.models import load_ensemble, load_model

    options = pop(values, *RUN_NAMES)
    set_threads(options.get("threads"))
    try:
        if not ensembles:
            return [load_model(path, **options) for path in paths]
        return [model for path in paths for model in load_ensemble(path, **options)]
    except InputError as error:
        if input_option is None or error.file != str(paths[-1]) or len(paths) == 1:
            raise
        raise InputError(
            error.problem,
            file=error.file,
            remedy=f"With {input_option}, all arguments are models: if this is the input, leave it "
            f"or {input_option} out",
        ) from error
