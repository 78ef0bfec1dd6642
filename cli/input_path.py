"""The paths of input files and folders on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

STANDARD_INPUT = "/dev/stdin"


class InputPath(click.Path):
    """A file or folder that exists, or ``-`` for standard input.

    With ``allow_dash``, the command reads ``-`` itself, in order. Else it stands for
    `STANDARD_INPUT`, which is read as other pipes are: from a temporary copy, because most readers
    need the content more than once (`danq.files.pipes`).

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
        if value == "-" and self.file_okay and not self.allow_dash:
            value = STANDARD_INPUT
        return super().convert(value, param, ctx)
