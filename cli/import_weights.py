"""`danq import`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import options
from .options import example

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(
    "import",
    epilog=example(
        "danq import DanQ_bestmodel.hdf5 --format keras-danq --backward forward-twice \\",
        "    --tracks deepsea-names.txt --out danq.safetensors",
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
    help="Whose weights they are; torch is any torch or safetensors file with a mapping.",
)
@click.option(
    "--mapping",
    type=_FILE,
    metavar="TOML",
    help="For torch: the architecture, and which array is which.",
)
@click.option(
    "--backward",
    type=click.Choice(["reversed", "reversed-output", "forward-twice"]),
    help="For Keras: how the second LSTM read. reversed: from last step to first; reversed-output: "
    "so too, its outputs left in that order; forward-twice: from first to last.  "
    "[default: forward-twice, with a warning]",
)
@options.tracks(
    type=_FILE,
    multiple=False,
    metavar="FILE",
    help="A track's name a line, and if wanted a tab and its group; or DanQ's table of figures.  "
    "[default: numbers]",
)
@options.window(
    default=None, show_default=False, help="Bases that the model sees.  [default: 1000]"
)
@options.bin_size(
    default=None,
    show_default=False,
    help="Bases in the middle of the window that the labels speak of.  [default: 200]",
)
@click.option(
    "--bases",
    metavar="ORDER",
    help="Order of the input channels.  [default: AGCT for Keras, ACGT for Selene]",
)
@options.out(help="Model file to write (.safetensors).")
@options.overwrite()
def import_weights(weights: Path, out: Path, bin_size: int | None, **given: Any) -> None:
    """Turn WEIGHTS of a published or foreign model into a model file of danq.

    Nothing is ever unpickled. The model file is one like any other: danq predict, evaluate and
    variants take it.
    """
    from danq.models.weights import import_weights as run

    model = run(weights, out, bin=bin_size, **given)
    spec = model.spec
    click.echo(
        f"{out}: {spec.preset}, {len(spec.tracks):,} tracks, window {spec.window:,} bp, "
        f"{sum(p.numel() for p in model.module.parameters()):,} parameters"
    )
