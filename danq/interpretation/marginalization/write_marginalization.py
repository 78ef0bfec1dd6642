"""Write the effects of motifs as a directory of tables and plots."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from danq.genome.motif_files import write_meme
from danq.inference.writers.folder_summary import write_summary
from danq.inference.writers.tsv import write_table
from danq.interpretation.marginalization.marginalize import Marginalization
from danq.output import check_output_folder, replacing_folder
from danq.plots.motif_effect_plots import plot_dose, plot_motif_effects, plot_spacing
from danq.plots.style import save
from danq.typing import Location

FORMAT = "danq-marginalization"
FORMAT_VERSION = 1
KIND = "marginalization"
TABLES = ("effects", "dose", "spacing", "ablation")


def write_marginalization(
    report: Marginalization, out: Location, *, overwrite: bool = False
) -> None:
    """Write the effects of motifs as a directory.

    The directory holds ``effects.tsv`` and ``effects.png``; ``dose``, ``spacing`` and ``ablation``
    likewise if they have rows, where ``spacing-1.png`` is of the first pair of motifs;
    ``motifs.meme``; and ``summary.json``, which has the checksums of the other files.

    Parameters
    ----------
    report
        Result of `danq.marginalize`.
    out
        Directory to write.
    overwrite
        Whether to replace a directory that an earlier call wrote.

    Raises
    ------
    InputError
        As `check_marginalization_folder`, or when the directory cannot be written.
    """
    with replacing_folder(out, overwrite, kind=KIND) as folder:
        write_meme(folder / "motifs.meme", report.motifs)
        for name in TABLES:
            table: pl.DataFrame = getattr(report, name)
            if table.height:
                _write_table(folder / f"{name}.tsv", table, report)
        unit = report.unit
        save(plot_motif_effects(report.effects, unit), folder / "effects.png")
        if report.dose.height:
            save(plot_dose(report.dose, unit), folder / "dose.png")
        if report.ablation.height:
            save(plot_motif_effects(report.ablation, unit), folder / "ablation.png")
        for number, (motif, partner) in enumerate(report.pairs, start=1):
            own = report.spacing.filter(motif=motif, partner=partner)
            save(plot_spacing(own, unit), folder / f"spacing-{number}.png")
        write_summary(folder, FORMAT, FORMAT_VERSION, report.provenance)


def check_marginalization_folder(out: Location, overwrite: bool = False) -> None:
    """Check, before a long computation, that `write_marginalization` can write a directory.

    Raises
    ------
    InputError
        When the directory exists and ``overwrite`` is false, when it holds files that
        `write_marginalization` did not write, or when the parent directory is not writable.
    """
    check_output_folder(out, overwrite, kind=KIND)


def _write_table(path: Path, table: pl.DataFrame, report: Marginalization) -> None:
    rounded = table.with_columns(pl.selectors.float().fill_nan(None).round_sig_figs(6))
    write_table(path, rounded, report.provenance)
