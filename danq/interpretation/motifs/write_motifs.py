"""Write the motifs of filters as a directory: MEME file, tables, logos and a web page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from danq.genome.motif_files import write_meme
from danq.inference.writers.folder_summary import write_summary
from danq.inference.writers.tsv import write_table
from danq.interpretation.motifs.find_motifs import MotifReport
from danq.interpretation.motifs.motif_page import FILTERS_PAGE, motif_page
from danq.output import check_output_folder, replacing_folder
from danq.plots.filter_logo_images import logo_pngs
from danq.progress import counted
from danq.typing import Location

FORMAT = "danq-motifs"
FORMAT_VERSION = 4
KIND = "motif report"
FILTERS, KNOWN = "filters.meme", "known.meme"
"""Files of the motifs of filters, and of the known motifs that match."""


def write_motifs(report: MotifReport, out: Location, *, overwrite: bool = False) -> None:
    """Write a motif report as a directory.

    The directory holds ``filters.meme`` (unless no filter has sites), ``filters.tsv``,
    ``matches.tsv``, ``known.meme`` (the known motifs that match, if there are any),
    ``motifs.html`` (one page that needs no other file), ``logos/`` and ``summary.json``, which has
    the checksums of the other files except those of the logos.

    Parameters
    ----------
    report
        Result of `danq.find_motifs`.
    out
        Directory to write.
    overwrite
        Whether to replace a directory that an earlier call wrote.

    Raises
    ------
    InputError
        As `check_motif_folder`, or when the directory cannot be written.
    """
    motifs = report.sites.motifs()
    with replacing_folder(out, overwrite, kind=KIND) as folder:
        if motifs:
            write_meme(folder / FILTERS, motifs)
        if report.table.known:
            write_meme(folder / KNOWN, report.table.known)
        _write_tsv(folder / "filters.tsv", report.table.filters, report.provenance)
        _write_tsv(folder / "matches.tsv", report.table.matches, report.provenance)
        pairs = [(one, report.table.best.get(one.name)) for one in motifs]
        names = [one.name for one in motifs]
        logos = dict(
            zip(
                names,
                counted(logo_pngs(pairs), "drawing logos", "filters", len(names)),
                strict=True,
            )
        )
        (folder / "logos").mkdir()
        for name, image in logos.items():
            (folder / "logos" / f"{name}.png").write_bytes(image)
        page = motif_page(
            FILTERS_PAGE, report.table.filters, logos, report.provenance, report.describe()
        )
        (folder / "motifs.html").write_text(page, encoding="utf-8")
        write_summary(folder, FORMAT, FORMAT_VERSION, report.summary())


def check_motif_folder(out: Location, overwrite: bool = False) -> None:
    """Check, before a long computation, that `write_motifs` can write a directory.

    Raises
    ------
    InputError
        When the directory exists and ``overwrite`` is false, when it holds files that
        `write_motifs` did not write, or when the parent directory is not writable.
    """
    check_output_folder(out, overwrite, kind=KIND)


def _write_tsv(path: Path, table: pl.DataFrame, provenance: dict[str, Any]) -> None:
    write_table(path, table.with_columns(pl.selectors.float().round_sig_figs(5)), provenance)
