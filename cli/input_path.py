"""The paths of input files and folders on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


class InputPath(click.Path):
    """A file or folder that exists.

    Parameters
    ----------
    file_okay, dir_okay, allow_dash
        As for `click.Path`.
    """

    def __init__(
        self, *, file_okay: bool = True, dir_okay: bool = True, allow_dash: bool = False
    ) -> None:
        super().__init__(
            exists=True,
            file_okay=file_okay,
            dir_okay=dir_okay,
            allow_dash=allow_dash,
            path_type=Path,
        )

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, str) and "://" in value and not Path(value).exists():
            from danq.files.urls import refuse_url

            refuse_url(value)
        return super().convert(value, param, ctx)
