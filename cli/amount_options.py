"""Options for tracks of amounts: of `danq data build`, and of the commands that use a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import click

from .input_path import InputPath
from .options import WINDOW_NAMES, Decorator, Names, Size, apply_all, option

_FILE = InputPath(dir_okay=False)
_ANY = InputPath()

signal = option(
    "--signal",
    type=_ANY,
    multiple=True,
    metavar="PATH",
    help="Signal file (bigWig, bedGraph, wig, or BED with scores; repeatable), directory of them, "
    "or sample sheet as for --tracks: its amounts become tracks.",
)
statistic = option(
    "--statistic",
    type=click.Choice(["mean", "sum", "max", "coverage"]),
    help="Amount of a bin: mean, sum or maximum of the signal, or the fraction of bases with a "
    "value.  [default: mean]",
)
profile = option(
    "--profile",
    type=Size(),
    metavar="BASES",
    help="Store a profile: one amount per step of this many bp of the bin.",
)
transform = option(
    "--transform",
    type=click.Choice(["none", "log1p", "asinh"]),
    help="Transform of the amounts.  [default: none]",
)
library_size = option(
    "--library-size",
    is_flag=True,
    default=None,
    help="Scale each signal so that the values of all bases add up to one million.",
)
gaps = option(
    "--gaps",
    type=click.Choice(["zero", "mask"]),
    help="Bases without a value: zero counts them as 0, mask leaves them out. Needed when they are "
    "more than 1 % of the genome.",
)
value_column = option(
    "--value-column",
    type=click.IntRange(min=4),
    metavar="N",
    help="Column of the amounts in BED files given with --signal.",
)
measured = option(
    "--measured",
    is_flag=True,
    help="Write amounts in the unit of the measured values: undo the transform and the scale.  "
    "[default: as in training]",
)
oriented = option(
    "--oriented/--both-strands",
    default=None,
    help="Use only the forward strand in all later commands.  [default: oriented for --sequences]",
)

SIGNAL_NAMES = {
    "statistic": "statistic",
    "profile": "step",
    "transform": "transform",
    "library_size": "library",
    "gaps": "gaps",
    "value_column": "column",
}
"""Parameters of `signal_options`, with their names in `danq.datasets.SignalOptions`."""

sequences = option(
    "--sequences",
    type=_FILE,
    metavar="TABLE",
    help="Table (TSV, CSV or Parquet) of sequences with measured amounts, in place of --genome.",
)
sequence_column = option(
    "--sequence-column",
    metavar="NAME",
    help="Column of the sequences.  [default: danq recognises it]",
)
amount_columns = option(
    "--amount-columns",
    type=Names(),
    metavar="LIST",
    help="Columns of the amounts.  [default: all columns of numbers]",
)
split_column = option(
    "--split-column",
    metavar="NAME",
    help="Column with train, valid or test.  [default: the column split, if any; without it, "
    "the first two folds, or 10 % random sequences, for test and validation]",
)
weight_column = option(
    "--weight-column",
    metavar="NAME",
    help="Column of weights in the loss.  [default: the column weight, if any]",
)
fold_column = option(
    "--fold-column", metavar="NAME", help="Column of folds.  [default: the column fold, if any]"
)
stratum_column = option(
    "--stratum-column",
    metavar="NAME",
    help="Column of strata, within each of which danq evaluate reports metrics.  [default: the "
    "column stratum, if any]",
)
left_flank = option(
    "--left-flank",
    metavar="BASES",
    help="Bases before each sequence, or the column with them.",
)
right_flank = option(
    "--right-flank",
    metavar="BASES",
    help="Bases after each sequence, or the column with them.",
)

TABLE_NAMES = {
    "sequence_column": "sequence",
    "amount_columns": "values",
    "split_column": "split",
    "weight_column": "weight",
    "fold_column": "fold",
    "stratum_column": "stratum",
    "left_flank": "left_flank",
    "right_flank": "right_flank",
}
"""Parameters of `table_options`, with their names in `danq.datasets.TableColumns`."""


def signal_options() -> Decorator:
    """The options of amounts of signals."""
    return apply_all(
        signal(), statistic(), profile(), transform(), library_size(), gaps(), value_column()
    )


def table_options() -> Decorator:
    """The options of tables of sequences."""
    return apply_all(
        sequences(),
        sequence_column(),
        amount_columns(),
        split_column(),
        weight_column(),
        fold_column(),
        stratum_column(),
        left_flank(),
        right_flank(),
    )


def genome_arguments(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `danq.build_dataset` from the options that were given."""
    from danq.datasets import SignalOptions
    from danq.datasets.label_options import label_arguments

    _refuse(settings, (*TABLE_NAMES,), "is an option of tables; give --sequences")
    if "genome" not in settings:
        raise click.UsageError("Give --genome with --tracks or --signal, or --sequences.")
    if not settings["tracks"] and not settings["signal"]:
        raise click.UsageError("Give --tracks, --signal or both with --genome.")
    if not settings["signal"]:
        _refuse(settings, (*SIGNAL_NAMES,), "is an option of signals; give --signal")
    names = {**WINDOW_NAMES, "seed": "seed", "oriented": "oriented"}
    arguments = label_arguments(
        {names[name]: value for name, value in settings.items() if name in names}
    )
    if settings["signal"]:
        amounts = SignalOptions(**_named(settings, SIGNAL_NAMES))
        arguments["options"] = replace(
            arguments["options"], signal=settings["signal"], amounts=amounts
        )
    return {"genome": settings["genome"], "tracks": settings["tracks"] or None, **arguments}


def table_arguments(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `danq.datasets.build_sequence_dataset` from the options that were given."""
    from danq.datasets import TableColumns

    own = (*TABLE_NAMES, "window", "oriented", "seed")
    others = [name for name, value in settings.items() if name not in own and value != ()]
    _refuse(settings, others, "is an option of windows of a genome, not of --sequences")
    plain = {name: settings[name] for name in ("window", "oriented", "seed") if name in settings}
    return {"columns": TableColumns(**_named(settings, TABLE_NAMES)), **plain}


def _named(settings: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names[name]: value for name, value in settings.items() if name in names}


def _refuse(settings: Mapping[str, Any], names: Iterable[str], reason: str) -> None:
    for parameter in click.get_current_context().command.params:
        if parameter.name in names and parameter.name in settings:
            raise click.UsageError(f"{parameter.opts[0]} {reason}.")
