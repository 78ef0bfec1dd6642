"""Entry point of the console script: signals are handled before other modules are imported."""

from __future__ import annotations

from .signals import install
from .streams import open_streams


def main() -> None:
    """Run the command line of this process."""
    # A pipe of the handlers must not get the number of a closed standard stream.
    open_streams()
    install()
    from .main import main as command

    command()
