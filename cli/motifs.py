"""`danq motifs`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import options
from .input_path import InputPath
from .show import show


@click.command(
    epilog=options.example(
        "danq motifs runs/yeast yeast.h5 --out runs/yeast/motifs",
        "danq motifs runs/yeast yeast.h5 --out reb1 --rule half-max --track Reb1 \\",
        "    --database JASPAR_fungi.meme --database mine.jaspar",
    )
)
@click.argument("model", type=InputPath())
@click.argument("data", type=InputPath(dir_okay=False))
@options.out(metavar="DIR", help="Output directory: MEME file, tables, logos and a web page.")
@click.option(
    "--rule",
    type=click.Choice(["argmax", "half-max"]),
    help="How to select the sites of a filter. argmax: the subsequence with the maximum activation "
    "in each sequence (DanQ). half-max: every subsequence above half of the filter's maximum "
    "activation (Basset).  [default: argmax]",
)
@click.option(
    "--database",
    "databases",
    type=InputPath(dir_okay=False),
    multiple=True,
    metavar="FILE",
    help="Known motifs to compare with: MEME, JASPAR, HOMER, HOCOMOCO, TRANSFAC (repeatable).",
)
@click.option(
    "--split",
    type=click.Choice(["train", "valid", "test"]),
    help="Split whose windows are used.  [default: test]",
)
@options.track(
    help="Use the windows that are positive, or have high amounts, for this track (repeatable).  "
    "[default: any track]"
)
@click.option(
    "--q-value",
    "max_q",
    type=click.FloatRange(0, 1, min_open=True),
    metavar="Q",
    help="Maximum q-value of a match.  [default: 0.01]",
)
@options.strand(help="both: use each window and its reverse complement.  [default: both]")
@options.batch_size()
@options.threads()
@options.overwrite()
def motifs(
    model: Path,
    data: Path,
    out: Path,
    overwrite: bool,
    **given: Any,
) -> None:
    """Extract motifs from first-layer filters and match them with known motifs.

    MODEL is a model file or a run directory. DATA is a dataset with the same window length and
    tracks; the windows of --split that are positive for a track are used, or of amounts the tenth
    with the highest values. Writes a MEME file, tables, logos, and motifs.html, a page with a
    sortable table. danq compares the filters with the motifs of all --database files in one search,
    by Tomtom's method.
    """
    from danq.interpretation import check_motif_folder, find_motifs, write_motifs

    check_motif_folder(out, overwrite)
    (loaded,) = options.load_models([model], given, ensembles=False)
    report = find_motifs(loaded, data, **options.given(given))
    write_motifs(report, out, overwrite=overwrite)
    text = f"{report.describe()}\nwritten to {out}; open motifs.html in a browser"
    show(text, {"path": out, **report.to_dict()})
