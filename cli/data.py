"""`danq data`: build, convert and describe datasets of labelled windows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import amount_options, options
from .options import example
from .show import show

if TYPE_CHECKING:
    from danq.datasets import BuildSummary

MOST_ROWS, END_ROWS = 100, 20
"""Largest number of tracks in a table; of more, those with the most and fewest positives."""

MOST_COLUMNS = 10_000
"""Width of a table, in characters."""


@click.group(epilog=example("danq data build peaks.h5 --genome hg38.fa --tracks peaks/"))
def data() -> None:
    """Build, convert and describe datasets of labelled windows."""


@data.command(
    epilog=example(
        "danq data build peaks.h5 --genome hg38.fa --tracks peaks/ --valid chr7 --test chr8,chr9",
        "danq data build small.h5 --genome g.fa --tracks tracks.tsv --negatives 2 --window 500",
        "danq data build signal.h5 --genome hg38.fa --signal bigwigs/ --transform log1p",
        "danq data build mpra.h5 --sequences mpra.tsv --amount-columns K562,HepG2",
    )
)
@click.argument("out", metavar="OUT.h5", type=click.Path(path_type=Path))
@options.genome()
@options.tracks()
@amount_options.signal_options()
@amount_options.table_options()
@amount_options.oriented()
@options.window_options()
@options.seed(help="Random seed for negative sampling and random splits.  [default: 0]")
@options.overwrite()
@click.option("--all", "every", is_flag=True, help="List every track in the printed summary.")
def build(out: Path, sequences: Path | None, overwrite: bool, every: bool, **given: Any) -> None:
    """Cut a genome into windows and label them, or read a table of sequences.

    A window is centred on a bin. With --tracks, the bin is positive for a track when peaks cover
    at least --min-overlap of it. With --signal, a track is the amount of a signal in the bin.
    --valid and --test hold out contigs or regions; without them danq chooses about a tenth of the
    genome for each, and reports the choice. With --sequences, windows are the sequences of a table.
    """
    from danq.datasets import build_dataset, build_sequence_dataset

    settings = options.given(given)
    if sequences is not None:
        arguments = amount_options.table_arguments(settings)
        summary = build_sequence_dataset(out, sequences, overwrite=overwrite, **arguments)
    else:
        arguments = amount_options.genome_arguments(settings)
        summary = build_dataset(out, overwrite=overwrite, **arguments)
    show(_text(summary, every), summary)


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

    summary = convert_dataset(out, files, **options.given({"bin": bin_size, **given}))
    show(_text(summary, every), summary)


@data.command(epilog=example("danq data info peaks.h5"))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--all", "every", is_flag=True, help="List every track in the printed summary.")
def info(file: Path, every: bool) -> None:
    """Show the windows, splits, positives and amounts of a dataset."""
    from danq.datasets import Dataset, summarise

    summary = summarise(Dataset.open(file))
    show(_text(summary, every), summary)


def _text(summary: BuildSummary, every: bool) -> str:
    """The summary of a dataset as lines of text and tables."""
    from rich.console import Console

    # Track names must not be truncated to the width of a terminal, also in a pipe.
    console = Console(highlight=False, soft_wrap=True, width=MOST_COLUMNS)
    windows = ", ".join(f"{count:,} {split}" for split, count in summary.windows.items())
    lines = [
        f"{summary.path}: {summary.size / 1e6:,.1f} MB",
        f"windows   {sum(summary.windows.values()):,} ({windows})",
        *_geometry(summary),
    ]
    dropped = {"bins": summary.dropped}
    if summary.peaks.size:
        dropped["peaks"] = summary.dropped_peaks
    for title, counts in dropped.items():
        shown = ", ".join(f"{count:,} {reason}" for reason, count in counts.items() if count)
        lines.append(f"{f'{title} dropped':<13} {shown or 'none'}")
    if summary.leaked is not None:
        leaks = ", ".join(
            f"{count:,} of {summary.windows[split]:,} {split} ({complete:,} completely)"
            for split, (count, complete) in summary.leaked.items()
            if count
        )
        lines.append(f"leaked        {leaks or 'none'}")
    lines += [f"check     {line}" for line in summary.tracks_to_check()]
    # rich exits the program on a closed pipe; click does not.
    with console.capture() as table:
        if summary.peaks.size:
            console.print(_table(summary, every))
        if summary.amounts:
            console.print(_amounts_table(summary, every))
    lines += table.get().splitlines()
    if not every and len(summary.tracks) > MOST_ROWS:
        lines.append(f"{len(summary.tracks):,} tracks; --all shows all")
    return "\n".join(lines)


def _geometry(summary: BuildSummary) -> Iterator[str]:
    """Lines about windows, bins and the genome."""
    if summary.standalone and summary.bin == summary.window:
        yield f"geometry  standalone sequences of up to {summary.window:,} bases"
    else:
        covered = f"; positive when {summary.min_overlap:.0%} covered" if summary.peaks.size else ""
        yield (
            f"geometry  {summary.window} bases around a bin of {summary.bin}, "
            f"every {summary.stride}{covered}"
        )
        yield f"genome    {summary.contigs:,} contigs, {summary.bases:,} bases"
    if summary.oriented:
        yield "oriented  yes: only the forward strand is used"
    yield from _relations(summary)
    if summary.folds:
        sizes = ", ".join(f"{name} {count:,}" for name, count in summary.folds.items())
        yield f"folds     {len(summary.folds):,} ({sizes})"


def _relations(summary: BuildSummary) -> Iterator[str]:
    """Lines about pairs of strands and replicates among the tracks of amounts."""
    from danq.errors import few

    index = {one.track: number for number, one in enumerate(summary.amounts)}
    pairs = [
        f"{one.track} and {one.reverse}"
        for number, one in enumerate(summary.amounts)
        if index[one.reverse] > number
    ]
    if pairs:
        yield f"strands   {few(pairs)}"
    experiments: dict[str, list[str]] = {}
    for one in summary.amounts:
        if one.replicate:
            experiments.setdefault(one.replicate, []).append(one.track)
    if experiments:
        texts = [f"{name} ({few(tracks)})" for name, tracks in experiments.items()]
        yield f"replicates {few(texts)}"


def _amounts_table(summary: BuildSummary, every: bool) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    units = any(one.unit for one in summary.amounts)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("track", *(["unit"] if units else [])):
        table.add_column(title, no_wrap=True)
    for title in ("masked", "zero", "smallest", "mean", "largest"):
        table.add_column(title, justify="right", no_wrap=True)
    most = len(summary.amounts) if every else MOST_ROWS
    for one in summary.amounts[:most]:
        names = [Text(one.track), *([Text(one.unit)] if units else [])]
        shares = (f"{one.masked:.2%}", f"{one.zero:.2%}")
        table.add_row(*names, *shares, *(f"{value:.4g}" for value in (one.low, one.mean, one.high)))
    if len(summary.amounts) > most:
        table.add_row("...")
    return table


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
    order = list(range(summary.peaks.size))
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
