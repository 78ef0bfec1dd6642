"""Options of `danq vision` for a user's own files."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .input_path import InputPath

if TYPE_CHECKING:
    from danq.vision.own_files import OwnFiles

F = TypeVar("F", bound=Callable[..., Any])

_SOURCES = {
    "images": "Use images: class folders, or a table.",
    "videos": "Use videos or folders of frames: class folders, or a table.",
    "captions": "Use images or videos with captions: a table, or JSON of COCO.",
    "questions": "Use questions about images or videos: a table.",
    "sequences": "Use texts or series of numbers: class folders, or a table.",
    "audio": "Use videos with their sound: class folders, or a table.",
}


class Setting(click.ParamType):
    """``name=value``: the value is a number, true, false, text or a list such as ``16,32``."""

    name = "name=value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Any]:
        if isinstance(value, tuple):
            return value
        name, equals, text = str(value).partition("=")
        if not equals or not name.strip():
            self.fail(f"'{value}' is not a setting; write name=value.", param, ctx)
        return name.strip().replace("-", "_"), parsed(text.strip())


class ImageSize(click.ParamType):
    """``64`` for squares, or ``48x64``: height and width in pixels."""

    name = "size"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"(\d{1,5})(?:[x×](\d{1,5}))?", str(value).strip())
        if match is None:
            self.fail(f"'{value}' is not a size; write 64, or height x width as 48x64.", param, ctx)
        return int(match[1]), int(match[2] or match[1])


def parsed(text: str) -> Any:
    """Value of a setting: a JSON value, a list with commas, or text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return [parsed(part.strip()) for part in text.split(",")] if "," in text else text


def files(command: F) -> F:
    """Add an option for each kind of source."""
    for name, help_text in reversed(_SOURCES.items()):
        option = click.option(f"--{name}", type=InputPath(), metavar="SOURCE", help=help_text)
        command = option(command)
    return command


def settings(command: F) -> F:
    """Add the options of how files are read, and ``--set``."""
    for option in (
        click.option(
            "--set",
            "settings",
            type=Setting(),
            multiple=True,
            metavar="NAME=VALUE",
            help="Set a hyperparameter, a setting of the recipe or of the files; may be repeated.",
        ),
        skip_damaged,
        click.option(
            "--size",
            type=ImageSize(),
            metavar="H[xW]",
            help="Resize images and frames to this size.  [default: from the files]",
        ),
    ):
        command = option(command)
    return command


def skip_damaged(command: F) -> F:
    """Add ``--skip-damaged``."""
    return click.option(
        "--skip-damaged", is_flag=True, help="Leave out files that cannot be read."
    )(command)


def source(given: dict[str, Any]) -> tuple[str, Path] | None:
    """Remove the sources from the options; return the one that was given, and its kind."""
    found = [(name, path) for name in _SOURCES if (path := given.pop(name)) is not None]
    if len(found) > 1:
        names = " and ".join(f"--{name}" for name, _ in found)
        raise click.UsageError(f"{names} are different kinds of files. Give one of them.")
    return found[0] if found else None


def named_settings(pairs: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    """Settings by name; each may be given once."""
    named: dict[str, Any] = {}
    for name, value in pairs:
        if name in named:
            raise click.UsageError(f"--set {name} is given twice. Give it once.")
        named[name] = value
    return named


def taken(task: str | None, data: Path | None, given: dict[str, Any]) -> OwnFiles | None:
    """Remove the options of own files; return the files, or None for the examples of a task."""
    found = source(given)
    given["settings"] = named_settings(given.pop("settings"))
    reading: Mapping[str, Any] = {
        "size": given.pop("size"),
        "skip_damaged": given.pop("skip_damaged") or None,
    }
    reading = {name: value for name, value in reading.items() if value is not None}
    if found is None:
        if task is None:
            raise click.UsageError(
                "Name a TASK (see 'danq vision list'), or give your own files, such as --images."
            )
        if reading:
            option = next(iter(reading)).replace("_", "-")
            raise click.UsageError(f"--{option} is for your own files, such as --images.")
        return None
    if task is not None or data is not None:
        raise click.UsageError(
            f"--{found[0]} decides which task is trained. Leave out TASK and --data."
        )
    if given["quick"]:
        raise click.UsageError(f"--quick is not for --{found[0]}. Use --epochs.")
    from danq.vision.own_data.input_settings import InputSettings
    from danq.vision.own_files import OwnFiles

    for name in reading:
        if name in given["settings"]:
            raise click.UsageError(f"'{name}' is given twice. Give it once.")
    if given["seed"] is not None:
        reading = {**reading, "seed": given["seed"]}
    return OwnFiles(*found, InputSettings(**reading))
