"""`danq import`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import options
from .input_path import InputPath
from .options import example
from .show import show

_FILE = InputPath(dir_okay=False)


@click.command(
    "import",
    epilog=example(
        "danq import DanQ_bestmodel.hdf5 --format keras-danq --backward forward-twice \\",
        "    --names deepsea-names.txt --out danq.safetensors",
        "danq import best_model.pth.tar --format selene-deepsea --out deepsea.safetensors",
        "danq import other.pt --format torch --mapping other.toml --out other.safetensors",
    ),
)
@click.argument("weights", type=_FILE)
@click.option(
    "--format",
    type=click.Choice(
        ["keras-danq", "keras-danq-jaspar", "selene-danq", "selene-deepsea", "torch"]
    ),
    required=True,
    help="Source format. torch: any PyTorch or safetensors file; needs --mapping.",
)
@click.option(
    "--mapping",
    type=_FILE,
    metavar="TOML",
    help="For torch: file with the architecture and the mapping of parameter names.",
)
@click.option(
    "--backward",
    type=click.Choice(["reversed", "reversed-output", "forward-twice"]),
    help="How Keras ran the backward LSTM. reversed: over the reversed sequence, with the outputs "
    "put back in sequence order; reversed-output: over the reversed sequence, with the outputs "
    "left reversed; forward-twice: over the sequence itself, like the forward LSTM.  [default: "
    "forward-twice, with a warning]",
)
@options.names()
@options.window(default=None, show_default=False, help="Window length in bp.  [default: 1000]")
@options.bin_size(
    default=None,
    show_default=False,
    help="Length of the labelled bin in the middle of the window, in bp.  [default: 200]",
)
@options.channels(
    help="Channel order of the model's input.  [default: AGCT for Keras, ACGT for Selene]"
)
@options.out(help="Model file to write (.safetensors).")
@options.overwrite()
def import_weights(
    weights: Path,
    out: Path,
    window: int | None,
    bin_size: int | None,
    names: Path | None,
    channels: str | None,
    **given: Any,
) -> None:
    """Import WEIGHTS of a published Keras or Selene model, or of any PyTorch model.

    The output is a model file of danq. danq does not run code in WEIGHTS.
    """
    from danq.models.weight_import import InputLayout
    from danq.models.weight_import import import_weights as run

    model = run(weights, out, layout=InputLayout(window, bin_size, channels), tracks=names, **given)
    spec = model.spec
    parameters = sum(p.numel() for p in model.module.parameters())
    show(
        f"{out}: {spec.preset}, {len(spec.tracks):,} tracks, window {spec.window:,} bp, "
        f"{parameters:,} parameters",
        {"path": out, "parameters": parameters, "header": spec},
    )
