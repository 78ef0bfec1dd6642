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
    help="Source format; torch is any torch or safetensors file with a mapping.",
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
    help="For Keras: processing order of the backward LSTM. reversed: last step to first; "
    "reversed-output: the same, with outputs in that order; forward-twice: first step to last.  "
    "[default: forward-twice, with a warning]",
)
@options.tracks(
    type=_FILE,
    multiple=False,
    metavar="FILE",
    help="File with a track name per line, optionally a tab and a group; or the metrics table of "
    "DanQ's authors.  [default: numbered tracks]",
)
@options.window(default=None, show_default=False, help="Input length in bases.  [default: 1000]")
@options.bin_size(
    default=None,
    show_default=False,
    help="Bases in the middle of the window that the labels describe.  [default: 200]",
)
@click.option(
    "--bases",
    metavar="ORDER",
    help="Bases in the order of the input channels.  [default: AGCT for Keras, ACGT for Selene]",
)
@options.out(help="Model file to write (.safetensors).")
@options.overwrite()
def import_weights(
    weights: Path,
    out: Path,
    window: int | None,
    bin_size: int | None,
    bases: str | None,
    **given: Any,
) -> None:
    """Import the WEIGHTS of a published model, or of another torch model, as a danq model file.

    All commands accept the model file. No object in WEIGHTS is unpickled.
    """
    from danq.models.weight_import import InputLayout
    from danq.models.weight_import import import_weights as run

    model = run(weights, out, layout=InputLayout(window, bin_size, bases), **given)
    spec = model.spec
    click.echo(
        f"{out}: {spec.preset}, {len(spec.tracks):,} tracks, window {spec.window:,} bp, "
        f"{sum(p.numel() for p in model.module.parameters()):,} parameters"
    )
