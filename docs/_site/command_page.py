"""The page of all commands, made from the help of the command line."""

from __future__ import annotations

import html
import inspect
import re
from collections.abc import Iterator

import click

from danq_cli.main import root

INTRODUCTION = """# Commands

Every command with its arguments, options and an example: the text of `danq COMMAND --help`.
[Output for programs](commands_json.md) describes `--json` and the exit codes.

"""


def commands(
    command: click.Command = root, name: str = "danq", parent: click.Context | None = None
) -> Iterator[tuple[str, click.Command, click.Context]]:
    """Each command that is no group: its name, itself and its context."""
    context = click.Context(command, info_name=name.rpartition(" ")[2], parent=parent)
    if not isinstance(command, click.Group):
        yield name, command, context
        return
    for child in command.list_commands(context):
        found = command.get_command(context, child)
        assert found is not None
        yield from commands(found, f"{name} {child}", context)


def examples(command: click.Command) -> str:
    """The examples of a command's help, without their indentation."""
    lines = (command.epilog or "").splitlines()
    return "\n".join(line.removeprefix("  ") for line in lines[2:])


def markdown() -> str:
    """Text of the page."""
    listed = list(commands())
    overview = "".join(
        f"| [`{name}`](#{name.replace(' ', '-')}) | {command.get_short_help_str(200)} |\n"
        for name, command, _ in listed
    )
    sections = "".join(_section(*one) for one in listed)
    return f"{INTRODUCTION}| command | |\n|---|---|\n{overview}\n{sections}"


def _section(name: str, command: click.Command, context: click.Context) -> str:
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    text = re.sub(r"^\x08\n", "", inspect.cleandoc(command.help or ""), flags=re.MULTILINE)
    rows = "".join(
        f"| {_code(record[0])} | {_cell(record[1])} |\n"
        for option in command.params
        if isinstance(option, click.Option) and (record := option.get_help_record(context))
    )
    return (
        f"## {name}\n\n```text\n{usage}\n```\n\n{_prose(text)}\n\n"
        f"```sh\n{examples(command)}\n```\n\n| option | |\n|---|---|\n{rows}\n"
    )


def _prose(text: str) -> str:
    """Text without marks of Markdown or HTML."""
    return re.sub(r"([*_\[\]])", r"\\\1", html.escape(text.strip(), quote=False))


def _code(text: str) -> str:
    return f"<code>{_cell(text)}</code>"


def _cell(text: str) -> str:
    return _prose(" ".join(text.split())).replace("|", "&#124;")
