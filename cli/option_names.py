"""Names of the library in messages, as a user of the command line knows them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import click

# Not a part of a file's name, such as chrom_map.tsv or a/chrom_map, nor a name in quotes.
_NAME = re.compile(
    r"(?<![\w/.'-])([a-z]+(?:_[a-z]+)+)(?!\.?[\w/-]|['/:]|, line)(?: to (?:True|False))?"
)
_FUNCTIONS = {"danq.build_dataset": "'danq data build'"}

SETTINGS = "The settings are: "
"""What precedes a list of settings in a message, whose names stay as they are."""


def find_command(command: click.Command, args: Sequence[str]) -> tuple[str, click.Command]:
    """The command that a command line names, and its name, such as "data build".

    Parameters
    ----------
    command
        The command ``danq``.
    args
        Arguments after it.
    """
    names = []
    for word in args:
        if not isinstance(command, click.Group):
            break
        found = command.get_command(click.Context(command), word)
        if found is None:
            break
        command = found
        names.append(word)
    return " ".join(names), command


def option_names(command: click.Command, args: Sequence[str]) -> dict[str, str]:
    """Options of the command that a command line names, by parameter; see `find_command`."""
    return {
        str(param.name): max(param.opts, key=len)
        for param in find_command(command, args)[1].params
        if isinstance(param, click.Option)
    }


def with_options(text: str, options: Mapping[str, str]) -> str:
    """Replace names of parameters in a message by options.

    Only names in brackets and names with an underscore are replaced, because other names are also
    words.
    """

    def replaced(match: re.Match[str]) -> str:
        return options.get(match[1], match[0])

    # A list of settings, which are not options but names.
    text, settings, names = text.partition(SETTINGS)
    text = re.sub(r"(?<=\()(\w+)(?=\))", replaced, text)
    text = _NAME.sub(replaced, text)
    for function, shown in _FUNCTIONS.items():
        text = text.replace(function, shown)
    return text + settings + names
