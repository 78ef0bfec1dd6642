"""Models that a command runs, loaded with its options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

RUN_NAMES = ("device", "precision", "batch_size", "threads", "strand", "tolerance", "measured")
"""Parameters that belong to a loaded model."""


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of a command without the options that were not given."""
    return {name: value for name, value in values.items() if value is not None}


def pop(values: dict[str, Any], *names: str) -> dict[str, Any]:
    """Remove parameters from ``values``, and return those that were given."""
    return given({name: values.pop(name) for name in names if name in values})


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
