"""The commands in docs/explain.md."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from danq_cli.main import root

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explain.md"


def commands() -> list[str]:
    """The danq commands of the blocks of shell code."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith("danq ")]


def test_the_page_shows_every_verb():
    shown = {shlex.split(line)[1] for line in commands()}
    assert shown >= {"attribute", "marginalize", "design", "mutate", "motifs"}


@pytest.mark.parametrize("line", commands())
def test_a_command_has_the_options_that_the_page_gives(line: str):
    command: click.Command = root
    words = shlex.split(line)[1:]
    context = click.Context(command, info_name="danq")
    while isinstance(command, click.Group):
        found = command.get_command(context, words.pop(0))
        assert found is not None
        command, context = found, click.Context(found, parent=context)
    given, _, _ = command.make_parser(context).parse_args(words)
    for parameter in command.params:
        if parameter.required:
            assert parameter.name in given or isinstance(parameter, click.Argument)
