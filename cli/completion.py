"""`danq completion`: the shell completes commands, options, choices and file names."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class, shell_complete

from .options import example
from .show import show

VARIABLE = "_DANQ_COMPLETE"
"""Environment variable in which the script of a shell asks for completions."""


@click.command(
    epilog=example(
        "echo 'eval \"$(danq completion bash)\"' >> ~/.bashrc",
        "echo 'eval \"$(danq completion zsh)\"' >> ~/.zshrc",
        "danq completion fish > ~/.config/fish/completions/danq.fish",
    )
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a script that lets the Tab key complete danq's commands, options and files.

    SHELL is the name of your shell. The examples install it for new shells. bash needs version 4.4
    or later, and zsh needs compinit.
    """
    from .main import root

    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(root, {}, "danq", VARIABLE).source()
    show(script.strip("\n"), {"shell": shell, "script": script})


def complete(instruction: str) -> int:
    """Print the completions for the command line that the shell has in its environment variables.

    Parameters
    ----------
    instruction
        Value of `VARIABLE`, such as "bash_complete".

    Returns
    -------
    int
        Exit code.
    """
    from .main import root

    return shell_complete(root, {}, "danq", VARIABLE, instruction)
