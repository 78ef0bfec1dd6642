"""`danq evaluate`."""

from __future__ import annotations

from pathlib import Path

import click

from . import options


@click.command(
    epilog=options.example(
        "danq evaluate runs/yeast yeast.h5 --out runs/yeast/test",
        "danq evaluate model.safetensors yeast.h5 --split valid --baseline",
        "danq evaluate runs/deepsea deepsea.h5 --paper --out runs/deepsea/paper",
        "danq evaluate runs/yeast yeast.h5 --precision bf16 --precision-cost",
    )
)
@click.argument("model", type=click.Path(exists=True, path_type=Path))
@click.argument("data", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@options.out(
    required=False,
    metavar="DIR",
    help="Folder for tables and plots.  [default: only print the means]",
)
@click.option(
    "--split",
    type=click.Choice(["train", "valid", "test"]),
    default="test",
    show_default=True,
    help="Windows to measure on.",
)
@click.option(
    "--baseline",
    is_flag=True,
    help="Fit a linear model on 5-mer counts too, and put its figures beside the model's.",
)
@click.option(
    "--paper",
    is_flag=True,
    help="Show the published figures of DeepSEA, DanQ and DanQ-JASPAR beside the model's.",
)
@click.option(
    "--paper-table",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The authors' figures by track (their aucs.txt): --paper, and a scatter plot.",
)
@click.option(
    "--precision-cost",
    is_flag=True,
    help="In bf16, also run in fp32 and show what bf16 costs in AUPR and AUROC.",
)
@click.option(
    "--bootstrap",
    type=options.Size(minimum=0),
    default=1000,
    show_default=True,
    metavar="N",
    help="Draws of blocks of neighbouring windows for 95 % intervals; 0 for none.",
)
@options.seed()
@options.model_options()
@options.overwrite()
def evaluate(
    model: Path,
    data: Path,
    out: Path | None,
    split: str,
    baseline: bool,
    paper: bool,
    paper_table: Path | None,
    precision_cost: bool,
    bootstrap: int,
    seed: int,
    device: str,
    precision: str,
    batch_size: int,
    threads: int | None,
    strand: str,
    overwrite: bool,
) -> None:
    """Measure a model on held-out windows.

    MODEL is a model file or a run folder, DATA.h5 a data set of the same window and tracks.
    Prints mean and median AUPR (average precision) and AUROC over tracks; --out keeps a table
    with a row a track, curves and plots. Tracks without positives are listed, not averaged.
    """
    from danq.device import set_threads
    from danq.inference.evaluation.evaluate import evaluate as measure

    set_threads(threads)
    report = measure(
        model,
        data,
        split=split,
        out=out,
        strand=strand,  # type: ignore[arg-type]
        baseline=baseline,
        paper=paper_table or paper,
        precision_cost=precision_cost,
        bootstrap=bootstrap,
        seed=seed,
        batch_size=batch_size,
        device=device,
        precision=precision,
        overwrite=overwrite,
    )
    click.echo(report.describe())
    if report.folder is not None:
        click.echo(f"written to {report.folder}")
