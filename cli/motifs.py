"""`danq motifs`."""

from __future__ import annotations

from pathlib import Path

import click

from . import options


@click.command(
    epilog=options.example(
        "danq motifs runs/yeast yeast.h5 --out runs/yeast/motifs",
        "danq motifs runs/yeast yeast.h5 --out reb1 --rule half-max --track Reb1 \\",
        "    --database JASPAR_fungi.meme --database mine.jaspar",
    )
)
@click.argument("model", type=click.Path(exists=True, path_type=Path))
@click.argument("data", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@options.out(metavar="DIR", help="Folder for motifs, tables, logos and the page.")
@click.option(
    "--rule",
    type=click.Choice(["argmax", "half-max"]),
    default="argmax",
    show_default=True,
    help="Sites that make a motif: where a filter fires most in each sequence (DanQ), or "
    "wherever it fires above half of its maximum (Basset).",
)
@click.option(
    "--database",
    "databases",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    metavar="FILE",
    help="Known motifs to compare with (MEME or JASPAR); may be repeated.",
)
@click.option(
    "--split",
    type=click.Choice(["train", "valid", "test"]),
    default="test",
    show_default=True,
    help="Windows to read.",
)
@options.track(
    help="Read windows that are positive for this track; may be repeated.  [default: any track]"
)
@click.option(
    "--q-value",
    "q_limit",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.01,
    show_default=True,
    metavar="Q",
    help="False discovery rate up to which a match is called.",
)
@options.strand(help="both reads each window and its reverse complement.")
@options.batch_size()
@options.threads()
@options.overwrite()
def motifs(
    model: Path,
    data: Path,
    out: Path,
    rule: str,
    databases: tuple[Path, ...],
    split: str,
    tracks: tuple[str, ...] | None,
    q_limit: float,
    strand: str,
    batch_size: int,
    threads: int | None,
    overwrite: bool,
) -> None:
    """Turn the filters of a model into motifs, and name what they resemble.

    MODEL is a model file or a run folder, DATA.h5 a data set of the same window and tracks; its
    positive windows are read. Writes a MEME file, tables, logos, and motifs.html, a page whose
    table sorts by a click. Known motifs are matched by Tomtom (q-values over each file given).
    """
    from danq.device import set_threads
    from danq.interpretation import find_motifs

    set_threads(threads)
    report = find_motifs(
        model,
        data,
        out=out,
        rule=rule,  # type: ignore[arg-type]
        databases=databases,
        split=split,
        tracks=tracks,
        strand=strand,  # type: ignore[arg-type]
        q_limit=q_limit,
        batch_size=batch_size,
        overwrite=overwrite,
    )
    click.echo(report.describe())
    click.echo(f"written to {report.folder}; open motifs.html in a browser")
