"""`danq train`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from . import options
from .options import example


@click.command(
    epilog=example(
        "danq train yeast.h5 --out runs/yeast",
        "danq train --out runs/yeast --resume",
        "danq train --genome sacCer3.fa --tracks peaks/ --window 500 \\",
        "    --valid chrXV --test chrIV --out runs/yeast",
    )
)
@click.argument(
    "data", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False
)
@options.out(metavar="RUN", help="Run folder to write.")
@options.genome(help="Genome (FASTA), to train straight from peaks.")
@options.tracks()
@click.option("--model", metavar="PRESET", help="danq-small, danq, danq-jaspar or deepsea.")
@click.option(
    "--temporal",
    type=click.Choice(["lstm", "gru", "tcn", "none"]),
    help="What reads the motifs' steps: a recurrent layer, a temporal convolutional network, or "
    "nothing.  [default: the preset's]",
)
@click.option(
    "--pooling",
    type=click.Choice(["flatten", "last", "mean", "max", "attention"]),
    help="How steps become one vector.  [default: the preset's]",
)
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="TOML",
    help="Run configuration; what the command line says wins over it.",
)
@click.option("--recipe", metavar="NAME", help="How to train: default or paper.")
@click.option(
    "--epochs",
    type=click.IntRange(min=0),
    metavar="N",
    help="Passes over the data; 0 for as many as show 900,000 windows, 4 to 40.  "
    "[default: the recipe's]",
)
@options.batch_size(
    default=None, show_default=False, help="Windows per step.  [default: the recipe's]"
)
@click.option(
    "--lr", type=click.FloatRange(min=0, min_open=True), metavar="RATE", help="Learning rate."
)
@click.option(
    "--seed-filters",
    metavar="auto|none|FILE",
    help="Start filters as words enriched in the training data (auto, on by default for small "
    "sets) or as the motifs of a MEME or JASPAR file.",
)
@options.frozen_epochs()
@options.device()
@options.precision()
@options.threads()
@click.option(
    "--devices",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Devices per node.",
)
@click.option(
    "--nodes",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Nodes of a cluster.",
)
@options.seed()
@click.option("--resume", is_flag=True, help="Go on from the run folder's last checkpoint.")
@options.overwrite(help="Replace the run folder if it exists.")
@options.window_options()
@click.pass_context
def train(context: click.Context, **given: Any) -> None:
    """Train a model on a data set, or straight from a genome and peaks.

    DATA is a file that `danq data build` wrote. Without it, --genome and --tracks name what to
    build one from, into the run folder, with the options that `danq data build` takes. --resume
    needs the run folder alone.
    """
    data_options = _told(context, options.WINDOW_NAMES)
    if given["data"] is not None:
        told = [*data_options, *(name for name in ("genome", "tracks") if given[name])]
        if told:
            flag = f"--{told[0].replace('_', '-')}"
            raise click.UsageError(f"{flag} says how to build a data set, but DATA is one already.")
    if given["resume"] and given["overwrite"]:
        raise click.UsageError("--resume goes on with a run, --overwrite throws it away.")

    from danq.training import train as run

    result = run(
        given["data"],
        out=given["out"],
        genome=given["genome"],
        tracks=given["tracks"] or None,
        data_options=data_options,
        config=given["config"],
        model=given["model"],
        model_changes={
            name: given[name] for name in ("temporal", "pooling") if given[name] is not None
        },
        recipe=given["recipe"],
        recipe_changes={
            name: given[name]
            for name in ("epochs", "batch_size", "lr", "seed_filters", "frozen_epochs")
            if given[name] is not None
        },
        resume=given["resume"],
        overwrite=given["overwrite"],
        threads=given["threads"],
        **_run_settings(context),
    )
    if result.rank == 0:
        epochs = f"{result.epochs} epoch" + "s" * (result.epochs != 1)
        click.echo(
            f"{result.folder}: best of {epochs} was {result.best_epoch}; "
            f"trained for {result.seconds:.0f} s"
        )


def _told(context: click.Context, names: dict[str, str]) -> dict[str, Any]:
    """Options that the user typed, under the library's names."""
    return {
        name: context.params[parameter]
        for parameter, name in names.items()
        if context.get_parameter_source(parameter) is not ParameterSource.DEFAULT
    }


def _run_settings(context: click.Context) -> dict[str, Any]:
    """Seed, device and the like, where typed: a configuration may set them too."""
    names = ("device", "precision", "devices", "nodes", "seed")
    return _told(context, {name: name for name in names})
