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
        "danq motifs --from-attributions reb1.h5 --out reb1 --database JASPAR_fungi.meme",
    )
)
@click.argument("model", required=False, type=InputPath())
@click.argument("data", required=False, type=InputPath(dir_okay=False))
@options.out(metavar="DIR", help="Output directory: MEME file, tables, logos and a web page.")
@click.option(
    "--from-attributions",
    "attributions",
    type=InputPath(dir_okay=False),
    metavar="FILE",
    help="Find motifs in attributions, the .h5 file of danq attribute; omit MODEL and DATA "
    "(requires danq[interpret]).",
)
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
    help="Use the windows that are positive, or have high amounts, for this track (repeatable); "
    "of attributions, the one track to use.  [default: any track; the only one]"
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
    model: Path | None,
    data: Path | None,
    attributions: Path | None,
    out: Path,
    overwrite: bool,
    **given: Any,
) -> None:
    """Extract motifs of filters, or of attributions, and match them with known motifs.

    MODEL is a model file or a run directory. DATA is a dataset with the same window length and
    tracks; the windows of --split that are positive for a track are used, or of amounts the tenth
    with the highest values. With --from-attributions, TF-MoDISco finds motifs of the bases that
    contribute most, and hits.bed has their sites. Writes a MEME file, tables, logos, and
    motifs.html, a page with a sortable table. danq compares the motifs with those of all --database
    files in one search, by Tomtom's method.
    """
    if attributions is not None:
        if model is not None:
            raise click.UsageError("Give either MODEL and DATA or --from-attributions.")
        _of_attributions(attributions, out, overwrite, options.given(given))
        return
    if model is None or data is None:
        raise click.UsageError("Give MODEL and DATA, or --from-attributions.")
    from danq.interpretation import check_motif_folder, find_motifs, write_motifs

    check_motif_folder(out, overwrite)
    (loaded,) = options.load_models([model], given, ensembles=False)
    report = find_motifs(loaded, data, **options.given(given))
    write_motifs(report, out, overwrite=overwrite)
    text = f"{report.describe()}\nwritten to {out}; open motifs.html in a browser"
    show(text, {"path": out, **report.to_dict()})


def _of_attributions(attributions: Path, out: Path, overwrite: bool, given: dict[str, Any]) -> None:
    from danq.interpretation import (
        check_attribution_motif_folder,
        find_attribution_motifs,
        write_attribution_motifs,
    )

    for name in ("rule", "split", "strand", "batch_size"):
        if name in given:
            option = "--" + name.replace("_", "-")
            raise click.UsageError(f"{option} is an option for filters, not for attributions.")
    tracks = given.pop("tracks", ())
    if len(tracks) > 1:
        raise click.UsageError("Give one --track of the attributions.")
    check_attribution_motif_folder(out, overwrite)
    report = find_attribution_motifs(attributions, track=next(iter(tracks), None), **given)
    write_attribution_motifs(report, out, overwrite=overwrite)
    text = f"{report.describe()}\nwritten to {out}; open motifs.html in a browser"
    show(text, {"path": out, **report.to_dict()})
