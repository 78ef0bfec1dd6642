"""`danq compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import options
from .input_path import InputPath
from .show import show, show_line

_MODEL = InputPath()


def _more(which: str) -> options.Decorator:
    return click.option(
        f"--add-to-{which}",
        type=_MODEL,
        multiple=True,
        metavar="MODEL",
        help=f"Add a model to the {which} side (repeatable); predictions of a side are averaged.",
    )


@click.command(
    epilog=options.example(
        "danq compare runs/a runs/b yeast.h5",
        "danq compare runs/a1 runs/b yeast.h5 --add-to-first runs/a2 --out comparison.tsv",
    )
)
@click.argument("first", type=_MODEL)
@click.argument("second", type=_MODEL)
@click.argument("data", type=InputPath(dir_okay=False))
@_more("first")
@_more("second")
@options.out(
    required=False, metavar="TSV", help="Table of all tracks.  [default: print the summary only]"
)
@click.option(
    "--split",
    type=click.Choice(["train", "valid", "test"]),
    help="Split to compare on.  [default: test]",
)
@click.option(
    "--bootstrap",
    type=options.Size(minimum=2),
    metavar="N",
    help="Bootstrap replicates over blocks of neighbouring windows.  [default: 1000]",
)
@options.seed()
@options.run_options()
@options.overwrite()
def compare(
    first: Path,
    second: Path,
    data: Path,
    add_to_first: tuple[Path, ...],
    add_to_second: tuple[Path, ...],
    out: Path | None,
    overwrite: bool,
    **given: Any,
) -> None:
    """Compare two models on the same windows, by default those of the test split.

    FIRST and SECOND are model files, run directories or folders of folds. DATA is a dataset
    with their window length, bin and tracks. Prints the differences (second minus first) of AUROC,
    AUPR and log loss, or of correlations, R2 and MSE of amounts, with 95 % intervals and p-values
    of a paired bootstrap; --out writes a table of all tracks.
    """
    from danq.inference.evaluation.compare import compare as run
    from danq.inference.evaluation.compare import write_comparison
    from danq.models.ensemble_file import ensemble_members
    from danq.output import check_target

    if out is not None:
        check_target(out, overwrite)
    sides = [
        [member for path in paths for member in ensemble_members(path)]
        for paths in ([first, *add_to_first], [second, *add_to_second])
    ]
    models = options.load_models([*sides[0], *sides[1]], given)
    count = len(sides[0])
    report = run(models[:count], models[count:], data, **options.given(given))
    show(report.describe(), {"path": out, **report.to_dict()})
    if out is not None:
        write_comparison(report, out, overwrite=overwrite)
        show_line(f"written to {out}")
