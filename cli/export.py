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
    strands. The inputs of an exported vision model are pixels (uint8), masks of real frames (bool)
    and words (int64) of any number of examples; it returns probabilities, values or the words of a
    caption. The file is written only if it agrees with the model within 1e-5 on random inputs.
    """
    from danq.models.stored_model import read_stored

    stored = read_stored(model)
    if stored.is_vision:
        from danq.vision.export import export_model as export_vision_model
        from danq.vision.vision_model_file import vision_model_from

        done = export_vision_model(vision_model_from(stored), out, to=to, overwrite=overwrite)
    else:
        from danq.models.export import export_model
        from danq.models.model_file import model_from

        done = export_model(model_from(stored), out, to=to, overwrite=overwrite)
    show(done.describe(), done)
