"""The option ``--overwrite``, which never replaces an input of the same command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def overwrite(help: str = "Replace an existing output.") -> Callable[[F], F]:
    """Option ``--overwrite``; the command then refuses to replace one of its inputs."""

    def decorate(function: F) -> F:
        @wraps(function)
        def checked(*args: Any, **values: Any) -> Any:
            if values["overwrite"]:
                _check_outputs(click.get_current_context().params)
            return function(*args, **values)

        return click.option("--overwrite", is_flag=True, help=help)(checked)  # type: ignore[return-value]

    return decorate


def _check_outputs(given: Mapping[str, Any]) -> None:
    """Refuse outputs that are inputs of the same command.

    Raises
    ------
    InputError
        When an output, or the table of rejects beside it, is the file of an input.
    """
    from danq.output import check_not_input

    outputs = {"out": given.get("out"), "plot": given.get("plot"), "apply": None}
    inputs = {name: value for name, value in given.items() if name not in outputs}
    if given.get("apply"):
        inputs["apply"], outputs["apply"] = given["apply"]
    files = [
        Path(one)
        for value in inputs.values()
        for one in (value if isinstance(value, tuple) else (value,))
        if isinstance(one, Path)
    ]
    for target in filter(None, outputs.values()):
        check_not_input(target, files)
