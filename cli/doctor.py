"""`danq doctor`."""

from __future__ import annotations

from typing import Any

import click

from . import options
from .options import example
from .show import show


@click.command(epilog=example("danq doctor", "danq doctor --device cuda:1"))
@options.device()
@click.pass_context
def doctor(context: click.Context, **given: Any) -> None:
    """Show versions, devices, threads and caches, and what is broken or slow.

    Short checks take about 10 seconds. The exit code is 2 if something is broken: a library is
    missing, too old or cannot be imported, or the model of the check does not run or gives wrong
    results. What is only slow does not change the exit code, 0.
    """
    from danq.diagnosis import doctor as examine

    report = examine(**options.given(given))
    show(report.describe(), report)
    if report.is_broken:
        context.exit(2)
