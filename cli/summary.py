"""`danq summary`."""

from __future__ import annotations

from pathlib import Path

import click

from .options import example


@click.command(
    epilog=example(
        "danq summary runs/yeast", "danq summary model.safetensors", "danq summary runs/direction"
    )
)
@click.argument("model", type=click.Path(exists=True, path_type=Path))
@click.option("--all", "every", is_flag=True, help="List all tracks.")
def summary(model: Path, every: bool) -> None:
    """Show the tracks or task, provenance, layers and parameters of a model.

    MODEL is a model file or a run directory of a sequence model or of a vision task.
    """
    from danq.models import is_vision_model

    if is_vision_model(model):
        from danq.vision import summary as describe_vision

        click.echo(describe_vision(model))
    else:
        from danq.models import summary as describe

        click.echo(describe(model, every=every))
