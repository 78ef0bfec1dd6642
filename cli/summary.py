"""`danq summary`."""

from __future__ import annotations

from pathlib import Path

import click

from .options import example


@click.command(epilog=example("danq summary runs/yeast", "danq summary model.safetensors"))
@click.argument("model", type=click.Path(exists=True, path_type=Path))
def summary(model: Path) -> None:
    """Show what a model file holds: tracks, window, provenance, layers and parameters.

    MODEL is a model file or a run folder.
    """
    from danq.models import summary as describe

    click.echo(describe(model))
