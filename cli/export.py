"""`danq export`."""

from __future__ import annotations

from pathlib import Path

import click

from . import options
from .options import example


@click.command(
    epilog=example(
        "danq export runs/yeast --to onnx --out yeast.onnx",
        "danq export model.safetensors --to torch-export --out model.pt2",
    )
)
@click.argument("model", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--to",
    type=click.Choice(["onnx", "torchscript", "torch-export"]),
    required=True,
    help="Form of the file.",
)
@options.out()
@options.overwrite()
def export(model: Path, to: str, out: Path, overwrite: bool) -> None:
    """Write a model in the form of another runtime, run the file, and compare.

    MODEL is a model file or a run folder. The file takes codes (uint8, any number of windows; A 0,
    C 1, G 2, T 3, anything else 4) and gives probabilities of the strand given. It is let through
    only when 1,000 sequences, N included, give the model's own probabilities to 1e-5.
    """
    from danq.models.export import export_model

    done = export_model(model, out, to=to, overwrite=overwrite)
    click.echo(f"{done.path}: differs from the model by at most {done.difference:.1e}")
