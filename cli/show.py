"""What a command prints: lines of text, or with ``--json`` one JSON object.

The options ``--json`` and ``--quiet`` are added to every command by `with_output_options`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, TextIO

import click

import danq
from danq.errors import printable

from .as_json import as_json
from .streams import write_stderr

WITHOUT_JSON = {"serve": "its page has a JSON API"}
"""Commands that refuse ``--json``, and why."""


class Output:
    """What one command line prints.

    Parameters
    ----------
    args
        The command line.

    Attributes
    ----------
    json, quiet
        Whether the options were given.
    command
        Name of the command, such as "data build".
    warnings
        Texts of the warnings.
    """

    def __init__(self, args: Sequence[str]) -> None:
        self.args = args
        self.json = self.quiet = False
        self.command = ""
        self.warnings: list[str] = []
        self._results: list[Any] = []
        self._several = False
        self._error: dict[str, Any] | None = None
        self._begun = time.monotonic()
        self._stdout: TextIO | None = None

    def use_json(self) -> None:
        """Print one JSON object at the end; all other text goes to stderr."""
        if not self.json:
            self.json, self._stdout, sys.stdout = True, sys.stdout, sys.stderr

    def add(self, result: Any, several: bool) -> None:
        """Keep a result for the JSON object; one of several makes it a list."""
        self._results.append(as_json(result))
        self._several = several

    def fail(self, message: str, code: int, **about: str | int | None) -> None:
        """Keep the error for the JSON object, with what is known about it."""
        known = {name: value for name, value in about.items() if value is not None}
        self._error = {"message": message, "exit_code": code, **known}

    def restore(self) -> None:
        """Restore standard output."""
        if self._stdout is not None:
            sys.stdout, self._stdout = self._stdout, None

    def finish(self) -> None:
        """Print the JSON object, if it was asked for.

        Nothing is printed where another process of the same training does it.
        """
        if not self.json:
            return
        if self._error is not None:
            content = {"error": self._error}
        elif self._results:
            content = {"result": self._results if self._several else self._results[-1]}
        else:
            return
        about = {"danq": danq.__version__, "command": self.command}
        seconds = round(time.monotonic() - self._begun, 3)
        found = {**about, **content, "warnings": self.warnings, "seconds": seconds}
        click.echo(json.dumps(found, allow_nan=False, indent=1))


_current: ContextVar[Output | None] = ContextVar("_current", default=None)


@contextmanager
def printing(output: Output) -> Iterator[None]:
    """Context in which commands print to ``output``."""
    token = _current.set(output)
    try:
        yield
    finally:
        _current.reset(token)


def show(text: str, result: Any, *, err: bool = False, several: bool = False) -> None:
    """Print the result of a command.

    Parameters
    ----------
    text
        The result as text.
    result
        The result as an object, see `danq_cli.as_json.as_json`.
    err
        Whether the text goes to stderr, because standard output has a table.
    several
        Whether the command may have several results: they are a list.
    """
    output = _current.get()
    if output is not None and output.json:
        output.add(result, several)
    elif not err:
        click.echo(text)
    elif output is None or not output.quiet:
        write_stderr(text)


def show_line(text: str) -> None:
    """Print a further line about a result; the JSON object has it already."""
    output = _current.get()
    if output is None or not output.json:
        click.echo(text)


def with_output_options(command: click.Command) -> click.Command:
    """Add ``--json`` and ``--quiet`` to a command, or to the commands of a group."""
    if isinstance(command, click.Group):
        for one in command.commands.values():
            with_output_options(one)
        return command
    if any(option.name == "as_json" for option in command.params):
        return command
    command.params += [
        click.Option(
            ["--json", "as_json"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_use_json,
            help="Print the result as one JSON object; all other text goes to stderr.",
        ),
        click.Option(
            ["--quiet", "is_quiet"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_use_quiet,
            help="Show only warnings and errors on stderr.",
        ),
    ]
    function = command.callback
    assert function is not None

    @wraps(function)
    def checked(*args: Any, **values: Any) -> Any:
        output = _current.get()
        if output is not None and output.json:
            if (why := WITHOUT_JSON.get(output.command)) is not None:
                raise click.UsageError(f"--json does not apply to this command: {why}.")
            if str(values.get("out")) == "-":
                raise click.UsageError(
                    "--out - writes a table to standard output, where --json prints the result; "
                    "give a file."
                )
        return function(*args, **values)

    command.callback = checked
    return command


def _use_json(context: click.Context, _: click.Parameter, value: bool) -> None:
    output = _current.get()
    if output is not None and value:
        output.command = context.command_path.partition(" ")[2]
        output.use_json()


def _use_quiet(_: click.Context, __: click.Parameter, value: bool) -> None:
    output = _current.get()
    if output is not None and value:
        output.quiet = True


def shown_error(error: click.ClickException) -> str:
    """Message of an error of the command line."""
    return printable(error.format_message())
