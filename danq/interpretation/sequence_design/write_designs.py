"""Write designs as a directory: FASTA files, tables and a plot."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from danq.inference.writers.folder_summary import write_summary
from danq.inference.writers.tsv import write_table
from danq.interpretation.sequence_design.design_sequences import Designs
from danq.output import check_output_folder, replacing_folder
from danq.plots.design_plot import plot_trajectories
from danq.plots.style import save
from danq.typing import Location

FORMAT = "danq-designs"
FORMAT_VERSION = 1
KIND = "designs"

_DIGITS = 7
_LINE = 60


def write_designs(report: Designs, out: Location, *, overwrite: bool = False) -> None:
    """Write designs as a directory.

    The directory holds ``designs.fa`` and ``starts.fa``, ``designs.tsv``, ``trajectory.tsv``,
    ``objective.png`` and ``summary.json``, which has the checksums of the other files.

    Parameters
    ----------
    report
        Result of `danq.design`.
    out
        Directory to write.
    overwrite
        Whether to replace a directory that an earlier call wrote.

    Raises
    ------
    InputError
        As `check_design_folder`, or when the directory cannot be written.
    """
    table, about = report.table, report.provenance
    with replacing_folder(out, overwrite, kind=KIND) as folder:
        details = (f"edits={edits}" for edits in table["edits"])
        _write_fasta(folder / "designs.fa", table["name"], details, table["sequence"])
        details = ("" for _ in table["name"])
        _write_fasta(folder / "starts.fa", table["name"], details, table["start_sequence"])
        rounded = pl.selectors.float().round_sig_figs(_DIGITS)
        write_table(folder / "designs.tsv", table.with_columns(rounded), about)
        write_table(folder / "trajectory.tsv", report.trajectory.with_columns(rounded), about)
        plot = plot_trajectories(report.trajectory, str(about["objective"]))
        save(plot, folder / "objective.png")
        write_summary(folder, FORMAT, FORMAT_VERSION, report.summary())


def check_design_folder(out: Location, overwrite: bool = False) -> None:
    """Check, before a long computation, that `write_designs` can write a directory.

    Raises
    ------
    InputError
        When the directory exists and ``overwrite`` is false, when it holds files that
        `write_designs` did not write, or when the parent directory is not writable.
    """
    check_output_folder(out, overwrite, kind=KIND)


def _write_fasta(
    path: Path, names: Iterable[str], details: Iterable[str], sequences: Iterable[str]
) -> None:
    records = []
    for name, detail, text in zip(names, details, sequences, strict=True):
        lines = [text[at : at + _LINE] for at in range(0, len(text), _LINE)]
        records += [f">{name} {detail}".strip(), *lines]
    path.write_text("\n".join(records) + "\n", encoding="utf-8")
