"""`danq export`."""

from __future__ import annotations

from pathlib import Path

import click

from . import options
from .input_path import InputPath
from .options import example
from .show import show


@click.command(
    epilog=example(
        "danq export runs/yeast --to onnx --out yeast.onnx",
        "danq export model.safetensors --to torch-export --out model.pt2",
    )
)
@click.argument("model", type=InputPath())
@click.option(
    "--to",
    type=click.Choice(["onnx", "torchscript", "torch-export"]),
    required=True,
    help="Format of the file.",
)
@options.out()
@options.overwrite()
def export(model: Path, to: str, out: Path, overwrite: bool) -> None:
    """Export a model to ONNX, TorchScript or torch.export.

    MODEL is a model file or a run directory. The input of the exported model is a uint8 array
    (windows, window length) with A=0, C=1, G=2, T=3 and 4 for any other base. The exported model
    returns the probabilities or amounts for the sequence as given; it does not average over
    strands. The file is written only if it agrees with the model within 1e-5 on 1,000 random
    sequences.
    """
    from danq.models.export import export_model

    done = export_model(model, out, to=to, overwrite=overwrite)
    show(done.describe(), done)
