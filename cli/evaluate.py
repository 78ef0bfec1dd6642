"""`danq evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import options
from .input_path import InputPath
from .show import show, show_line


@click.command(
    epilog=options.example(
        "danq evaluate runs/yeast yeast.h5 --out runs/yeast/test",
        "danq evaluate model.safetensors yeast.h5 --split valid --baseline",
        "danq evaluate runs/seed1 runs/seed2 runs/seed3 yeast.h5 --out ensemble",
        "danq evaluate runs/deepsea deepsea.h5 --paper --out runs/deepsea/paper",
        "danq evaluate runs/yeast yeast.h5 --precision bf16 --compare-fp32",
    )
)
@options.models()
@click.argument("data", type=InputPath(dir_okay=False))
@options.out(
    required=False,
    metavar="DIR",
    help="Directory for tables and plots.  [default: print the summary only]",
)
@click.option(
    "--split",
    type=click.Choice(["train", "valid", "test"]),
    help="Split to evaluate on.  [default: test]",
)
@click.option(
    "--baseline",
    is_flag=True,
    help="Also fit a linear model on 5-mer counts and report its metrics next to the model's.",
)
@click.option(
    "--paper",
    is_flag=True,
    help="Report the published metrics of DeepSEA, DanQ and DanQ-JASPAR next to the model's.",
)
@click.option(
    "--paper-table",
    type=InputPath(dir_okay=False),
    metavar="FILE",
    help="Per-track published metrics (DanQ's aucs.txt); implies --paper and adds a scatter plot.",
)
@click.option(
    "--compare-fp32",
    is_flag=True,
    help="With bf16, also evaluate in fp32 and report the difference in AUPR and AUROC.",
)
@click.option(
    "--bootstrap",
    type=options.Size(minimum=0),
    metavar="N",
    help="Bootstrap replicates over blocks of neighbouring windows, for 95 % confidence intervals; "
    "0 computes none.  "
    "[default: 1000]",
)
@options.seed()
@options.run_options()
@options.overwrite()
def evaluate(
    models: tuple[Path, ...],
    data: Path,
    out: Path | None,
    paper: bool,
    paper_table: Path | None,
    overwrite: bool,
    **given: Any,
) -> None:
    """Evaluate a model on one split of a dataset, by default the test split.

    MODEL is a model file, a run directory or a folder of folds; predictions of several models are
    averaged, and their spread is reported. DATA is a dataset with the same window length, bin and
    tracks. Prints mean and median AUPR (average precision) and AUROC over tracks of peaks, and
    Pearson and Spearman correlations, R2 and MSE over tracks of amounts; --out writes a table of
    all tracks and plots, and for peaks the points of the ROC and precision-recall curves. Tracks
    without positives are listed and excluded from the summary.
    """
    from danq.inference.evaluation.evaluate import evaluate as run
    from danq.inference.evaluation.evaluation_folder import (
        check_evaluation_directory,
        write_evaluation,
    )

    if out is not None:
        check_evaluation_directory(out, overwrite)
    loaded = options.load_models(models, given)
    report = run(loaded, data, paper=paper_table or paper, **options.given(given))
    show(report.describe(), {"path": out, **report.to_dict()})
    if out is not None:
        write_evaluation(report, out, overwrite=overwrite)
        show_line(f"written to {out}")
