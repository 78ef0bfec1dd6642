"""The option ``--overwrite``; no output replaces an input of the same command."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def overwrite(help: str = "Replace an existing output.") -> Callable[[F], F]:
    """Option ``--overwrite`` of a command that writes an output."""

    def decorate(function: F) -> F:
        @wraps(function)
        def checked(*args: Any, **values: Any) -> Any:
            from danq.files.inputs_in_use import OUTPUTS, noting_inputs

            inputs = [value for name, value in values.items() if name not in OUTPUTS]
            with noting_inputs(*inputs):
                return function(*args, **values)

        return click.option("--overwrite", is_flag=True, help=help)(checked)  # type: ignore[return-value]

    return decorate
