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
def summary(model: Path) -> None:
    """Show what a model file holds: tracks or task, provenance, layers and parameters.

    MODEL is a model file or a run folder, of a sequence model or of a vision task.
    """
    from danq.models import is_vision_model

    if is_vision_model(model):
        from danq.vision import summary as describe
    else:
        from danq.models import summary as describe

    click.echo(describe(model))
