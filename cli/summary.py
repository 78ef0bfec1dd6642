"""`danq summary`."""

from __future__ import annotations

from pathlib import Path

import click

from .input_path import InputPath
from .options import example
from .show import show


@click.command(
    epilog=example(
        "danq summary runs/yeast", "danq summary model.safetensors", "danq summary runs/direction"
    )
)
@click.argument("model", type=InputPath())
@click.option("--all", "every", is_flag=True, help="List all tracks.")
def summary(model: Path, every: bool) -> None:
    """Show the tracks or task, provenance, layers and parameters of a model.

    MODEL is a model file or a run directory of a sequence model or of a vision task.
    """
    from danq.models.stored_model import read_stored

    stored = read_stored(model)
    if stored.is_vision:
        from danq.vision import summary as describe_vision
        from danq.vision.vision_model_file import vision_model_from

        model_read = vision_model_from(stored)
        text = describe_vision(model_read)
    else:
        from danq.models import summary as describe
        from danq.models.model_file import model_from

        model_read = model_from(stored)
        text = describe(model_read, every=every)
    parameters = sum(one.numel() for one in model_read.module.parameters())
    kind = "vision" if stored.is_vision else "sequence"
    about = {"path": model, "kind": kind, "parameters": parameters, "header": model_read.spec}
    show(text, about)
