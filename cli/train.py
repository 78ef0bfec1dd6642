"""`danq train`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from . import amount_options, options
from .input_path import InputPath
from .options import example
from .show import show

_MODEL = {
    "model": "preset",
    "pretrained": "pretrained",
    "temporal": "temporal",
    "pooling": "pooling",
}
_RECIPE = {
    "recipe": "base",
    "epochs": "epochs",
    "batch_size": "batch_size",
    "lr": "lr",
    "initial_motifs": "initial_motifs",
    "frozen_epochs": "frozen_epochs",
    "freeze": "freeze",
}
_RUN = {name: name for name in ("seed", "device", "precision", "threads", "devices", "nodes")}
_DATA = {
    "genome": "genome",
    "tracks": "tracks",
    "signal": "signal",
    **amount_options.SIGNAL_NAMES,
    "sequences": "sequences",
    **amount_options.TABLE_NAMES,
    "oriented": "oriented",
    **options.WINDOW_NAMES,
}


@click.command(
    epilog=example(
        "danq train yeast.h5 --out runs/yeast",
        "danq train --out runs/yeast --resume",
        "danq train ours.h5 --from runs/yeast --freeze encoder --out runs/ours",
        "danq train --genome sacCer3.fa --tracks peaks/ --window 500 \\",
        "    --valid chrXV --test chrIV --out runs/yeast",
        "danq train yeast.h5 --folds 5 --hold-out chrIV --out runs/folds",
    )
)
@click.argument("data", type=InputPath(dir_okay=False), required=False)
@options.out(metavar="RUN", help="Write the run to this directory.")
@options.genome(help="Build a dataset from this genome (FASTA).")
@options.tracks()
@click.option(
    "--model",
    metavar="PRESET",
    help="Use a preset: danq-small, danq-mpra, danq, danq-jaspar, deepsea or dream-rnn.  [default: "
    "danq-mpra for sequences with amounts, else danq-small]",
)
@click.option(
    "--from",
    "pretrained",
    type=InputPath(),
    metavar="MODEL",
    help="Start from this model (model file or run directory): take its hyperparameters, the "
    "layers with the same names and shapes, and the outputs of tracks with the same names.",
)
@click.option(
    "--temporal",
    type=click.Choice(["lstm", "gru", "tcn", "none"]),
    help="Set the sequence layer after the convolution: LSTM, GRU, temporal convolutional network "
    "or none.  [default: the preset's]",
)
@click.option(
    "--pooling",
    type=click.Choice(["flatten", "last", "mean", "max", "mean-max", "attention"]),
    help="Set how positions are combined before the dense layers: flatten (keep all), last "
    "position, mean, max, mean-max (both) or attention.  [default: the preset's]",
)
@click.option(
    "--config",
    type=InputPath(dir_okay=False),
    metavar="TOML",
    help="Read a run configuration; options of the command line take precedence.",
)
@click.option(
    "--recipe",
    metavar="NAME",
    help="Training hyperparameters: 'default', 'mpra' (for danq-mpra), or 'paper' (as published "
    "for DanQ).",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=0),
    metavar="N",
    help="Number of epochs. 0 chooses 4 to 40 epochs automatically, so that epochs times training "
    "windows is about 900,000 (recipe mpra: 50,000).  [default: the recipe's]",
)
@options.batch_size(
    default=None,
    show_default=False,
    help="Set the number of windows per batch.  [default: the recipe's]",
)
@click.option(
    "--lr",
    type=click.FloatRange(min=0, min_open=True),
    metavar="RATE",
    help="Set the learning rate.  [default: the recipe's]",
)
@click.option(
    "--initial-motifs",
    metavar="auto|none|FILE",
    help="Initial values of the filters. 'none': random; FILE: the motifs of a file (MEME, JASPAR, "
    "HOMER and others); 'auto': k-mers enriched in the training data if there are at most a "
    "million training windows, else random.  [default: the recipe's]",
)
@options.frozen_epochs()
@click.option(
    "--freeze",
    type=click.Choice(["none", "encoder", "temporal"]),
    help="With --from, never train the convolutions (encoder), or the convolutions and the layer "
    "after them, such as the LSTM (temporal).  [default: none]",
)
@click.option(
    "--card",
    type=InputPath(dir_okay=False),
    metavar="TOML",
    help="Store a model card in the model file: name, authors, contact, date, license, data, "
    "data_license, genome, intended_use, limitations, citation.",
)
@options.device()
@options.precision()
@options.threads()
@click.option(
    "--devices",
    type=click.IntRange(min=1),
    metavar="N",
    help="Train on N devices of each node instead of one.",
)
@click.option(
    "--nodes",
    type=click.IntRange(min=1),
    metavar="N",
    help="Train on N nodes of a cluster instead of one.",
)
@options.seed()
@click.option(
    "--folds",
    type=click.IntRange(min=3),
    metavar="K",
    help="Train K models: each tests on one of K groups of contigs, validates on the next one, and "
    "trains on the others. Writes predictions of all windows, each by the model that never saw it, "
    "and an ensemble of the models.",
)
@click.option(
    "--hold-out",
    metavar="LIST",
    help="With --folds, contigs that no model sees, such as chrIV; the mean of all models predicts "
    "them.",
)
@click.option("--resume", is_flag=True, help="Resume from the last checkpoint in RUN.")
@options.overwrite(help="Replace the run directory if it exists.")
@options.window_options()
@amount_options.signal_options()
@amount_options.table_options()
@amount_options.oriented()
@click.pass_context
def train(context: click.Context, **given: Any) -> None:
    """Train a model on a dataset, or directly on a genome with peaks or signals, or on a table.

    DATA is a dataset of `danq data build` or `danq data convert`. Without it, danq builds a dataset
    from --genome with --tracks or --signal, or from --sequences, and stores it in the run
    directory. The options from --window to --both-strands in the list below apply only in that
    case. To resume a run, give only --out and --resume. With --folds, the other commands take RUN
    as an ensemble.
    """
    from danq.models import read_card
    from danq.training import DataSettings, Folds, ModelSettings, Recipe, RunSettings, train_folds
    from danq.training import train as run
    from danq.training.folds import uses_folds

    data: Path | DataSettings = given["data"]
    table = _given(context, _DATA)
    if data is None:
        data = DataSettings(**table)
    elif table:
        flag = next(
            parameter.opts[0]
            for parameter in context.command.params
            if _DATA.get(parameter.name or "") in table
        )
        raise click.UsageError(f"{flag} is an option for building a dataset, and DATA is given.")
    if given["resume"] and given["overwrite"]:
        raise click.UsageError("--resume and --overwrite exclude each other.")
    run_settings = _given(context, _RUN)
    if given["card"] is not None:
        run_settings["card"] = read_card(given["card"])
    folds = Folds(data, given["folds"], given["hold_out"] or ())
    settings = {
        "out": given["out"],
        "config": given["config"],
        "model": ModelSettings(**_given(context, _MODEL)),
        "recipe": Recipe(**_given(context, _RECIPE)),
        "run": RunSettings(**run_settings),
        "resume": given["resume"],
        "overwrite": given["overwrite"],
    }
    if uses_folds(folds, given["out"], given["config"], resume=given["resume"]):
        trained = train_folds(folds, **settings)
        show(trained.describe(), trained.to_dict())
        return
    result = run(data, **settings)
    if result.rank == 0:
        show(result.describe(), result)


def _given(context: click.Context, names: Mapping[str, str]) -> dict[str, Any]:
    """Options that the user typed, under the library's names: a configuration may set the rest."""
    return {
        name: context.params[parameter]
        for parameter, name in names.items()
        if context.get_parameter_source(parameter) is not ParameterSource.DEFAULT
    }
