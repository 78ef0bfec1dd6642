"""`danq data`: build, convert and describe datasets of labelled windows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import options
from .options import example
from .progress import progress

if TYPE_CHECKING:
    from danq.datasets import BuildSummary

MOST_ROWS, END_ROWS = 100, 20
"""Largest number of tracks in a table; of more, those with the most and fewest positives."""


@click.group(epilog=example("danq data build peaks.h5 --genome hg38.fa --tracks peaks/"))
def data() -> None:
    """Build, convert and describe datasets of labelled windows."""


@data.command(
    epilog=example(
        "danq data build peaks.h5 --genome hg38.fa --tracks peaks/ --valid chr7 --test chr8,chr9",
        "danq data build small.h5 --genome g.fa --tracks tracks.tsv --negatives 2 --window 500",
    )
)
@click.argument("out", metavar="OUT.h5", type=click.Path(path_type=Path))
@options.genome(required=True)
@options.tracks(required=True)
@options.window_options()
@options.seed(help="Random seed for negative sampling.  [default: 0]")
@options.overwrite()
@click.option("--all", "every", is_flag=True, help="List every track in the printed summary.")
def build(
    out: Path, genome: Path, tracks: tuple[Path, ...], overwrite: bool, every: bool, **given: Any
) -> None:
    """Cut a genome into windows and label them from peak files.

    A window is centred on a bin; the bin is positive for a track when peaks cover at least
    --min-overlap of it. --valid and --test hold out contigs or regions; without them danq chooses
    about a tenth of the genome for each, and reports the choice.
    """
    from danq.datasets.build import build_dataset
    from danq.datasets.label_options import label_arguments

    library_names = {**options.WINDOW_NAMES, "seed": "seed"}
    arguments = label_arguments(
        {library_names[name]: value for name, value in options.given(given).items()}
    )
    _show(build_dataset(out, genome, tracks, overwrite=overwrite, **arguments), every)


@data.command(
    epilog=example(
        "danq data convert train.mat valid.mat test.mat deepsea.h5 --names names.txt",
        "danq data convert train.npz valid.npz test.npz set.h5 --channels ACGT",
    )
)
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.argument("out", metavar="OUT.h5", type=click.Path(path_type=Path))
@options.names()
@options.channels()
@options.bin_size(
    help="Length of the labelled bin in the middle of a sequence, in bp.  [default: 200]"
)
@options.overwrite()
@click.option("--all", "every", is_flag=True, help="List every track in the printed summary.")
def convert(
    files: tuple[Path, ...], out: Path, bin_size: int | None, every: bool, **given: Any
) -> None:
    """Convert DeepSEA's files, or other one-hot arrays, to a dataset.

    FILEs are MATLAB (v5 or v7.3), HDF5 or npz. Arrays with DeepSEA's names (trainxdata, traindata,
    ...) define the split. If the arrays have other names, the files are training, validation and
    test, in the given order. If a file contains the reverse complement of every sequence, only the
    forward strand is stored.
    """
    from danq.datasets import convert_dataset

    with progress("reading", unit="MB") as show:

        def watch(done: int, total: int | None) -> None:
            if show is not None:
                show(done // 10**6, None if total is None else total // 10**6)

        settings = options.given({"bin": bin_size, **given})
        summary = convert_dataset(out, files, progress=watch, **settings)
    _show(summary, every)


@data.command(epilog=example("danq data info peaks.h5"))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--all", "every", is_flag=True, help="List every track in the printed summary.")
def info(file: Path, every: bool) -> None:
    """Show the windows, splits and positives of a dataset."""
    from danq.datasets import Dataset, summarise

    _show(summarise(Dataset.open(file)), every)


def _show(summary: BuildSummary, every: bool) -> None:
    from rich.console import Console

    # Track names must not be truncated to the width of a terminal, also in a pipe.
    console = Console(highlight=False, soft_wrap=True)
    windows = ", ".join(f"{count:,} {split}" for split, count in summary.windows.items())
    click.echo(f"{summary.path}: {summary.size / 1e6:,.1f} MB")
    click.echo(f"windows   {sum(summary.windows.values()):,} ({windows})")
    click.echo(
        f"geometry  {summary.window} bases around a bin of {summary.bin}, "
        f"every {summary.stride}; positive when {summary.min_overlap:.0%} covered"
    )
    click.echo(f"genome    {summary.contigs:,} contigs, {summary.bases:,} bases")
    for title, counts in (("bins", summary.dropped), ("peaks", summary.dropped_peaks)):
        shown = ", ".join(f"{count:,} {reason}" for reason, count in counts.items() if count)
        click.echo(f"{f'{title} dropped':<13} {shown or 'none'}")
    if summary.leaked is not None:
        leaks = ", ".join(
            f"{count:,} of {summary.windows[split]:,} {split} ({complete:,} completely)"
            for split, (count, complete) in summary.leaked.items()
            if count
        )
        click.echo(f"leaked        {leaks or 'none'}")
    for line in summary.tracks_to_check():
        click.echo(f"check     {line}")
    # rich exits the program on a closed pipe; click does not.
    with console.capture() as table:
        console.print(_table(summary, every))
    click.echo(table.get(), nl=False)
    if not every and len(summary.tracks) > MOST_ROWS:
        click.echo(f"{len(summary.tracks):,} tracks; --all shows all")


def _table(summary: BuildSummary, every: bool) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    grouped = any(summary.groups)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("track", *(["group"] if grouped else [])):
        table.add_column(title, no_wrap=True)
    leaked = summary.leaked_positives.sum(axis=1)
    for title in ("peaks", *summary.windows, *(["leaked"] if leaked.any() else [])):
        table.add_column(title, justify="right", no_wrap=True)
    order = list(range(len(summary.tracks)))
    complete = every or len(order) <= MOST_ROWS
    if not complete:
        order.sort(key=lambda track: -int(summary.positives[track].sum()))
    shown = order if complete else [*order[:END_ROWS], None, *order[-END_ROWS:]]
    for track in shown:
        if track is None:
            table.add_row("...")
            continue
        # As text, or rich takes '[b]' in a name for markup.
        names = [Text(summary.tracks[track]), *([Text(summary.groups[track])] if grouped else [])]
        counts = [summary.peaks[track], *summary.positives[track]]
        counts += [leaked[track]] if leaked.any() else []
        table.add_row(*names, *(f"{count:,}" for count in counts))
    return table
