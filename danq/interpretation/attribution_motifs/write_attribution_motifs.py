"""Write the motifs of attributions as a directory: motifs, tables, hits, logos and a web page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from danq.genome.motif_files import write_meme
from danq.inference.writers.folder_summary import write_summary
from danq.inference.writers.tsv import write_rows, write_table
from danq.interpretation.attribution_motifs.find_attribution_motifs import AttributionMotifReport
from danq.interpretation.motifs.motif_page import (
    MATCH_MEANINGS,
    MATCH_TITLES,
    MotifPage,
    motif_page,
)
from danq.interpretation.motifs.write_motifs import KNOWN
from danq.output import check_output_folder, comment_lines, os_errors, replacing_folder
from danq.plots.contribution_logo_images import contribution_logo_pngs
from danq.progress import counted
from danq.typing import Location

FORMAT = "danq-attribution-motifs"
FORMAT_VERSION = 1
KIND = "report of attribution motifs"
MOTIFS, HITS = "motifs.meme", "hits.bed"
"""Files of the base frequencies of the motifs, and of their hits."""

PAGE = MotifPage(
    "Motifs of attributions",
    {
        "motif": "Motif",
        "seqlets": "Seqlets",
        "hits": "Hits",
        "sequences_with_hits": "Sequences with hits",
        "contribution": "Contribution of a hit",
        "information_content": "Information content (bits)",
        "consensus": "Consensus",
        **MATCH_TITLES,
    },
    {
        "Logo": "Above: mean contribution of each base, in the unit of the attributions. Below: "
        "base frequencies in bits, and the best-matching known motif, aligned.",
        "Motif": "A positive motif raises predictions, a negative one lowers them.",
        "Seqlets": "Number of sequences from which TF-MoDISco made the motif.",
        "Hits": "Number of sites whose contributions are like those of the motif; hits do not "
        "overlap.",
        "Sequences with hits": "Fraction of all sequences.",
        "Contribution of a hit": "Mean over the hits of the sum over their bases.",
        "Information content": "Sum over all positions of the motif.",
        "Consensus": "IUPAC letters of the motif without its ends below 0.25 bits.",
        **MATCH_MEANINGS,
    },
)


def write_attribution_motifs(
    report: AttributionMotifReport, out: Location, *, overwrite: bool = False
) -> None:
    """Write a report of the motifs of attributions as a directory.

    The directory holds ``motifs.meme``, ``motifs.tsv``, ``contributions.tsv``, ``hits.bed``,
    ``matches.tsv``, ``known.meme`` (the known motifs that match, if there are any), ``motifs.html``
    (one page that needs no other file), ``logos/`` and ``summary.json``, which has the checksums of
    the other files except those of the logos.

    Parameters
    ----------
    report
        Result of `danq.find_attribution_motifs`.
    out
        Directory to write.
    overwrite
        Whether to replace a directory that an earlier call wrote.

    Raises
    ------
    InputError
        As `check_attribution_motif_folder`, or when the directory cannot be written.
    """
    motifs = [one.motif for one in report.motifs]
    about = report.provenance
    with replacing_folder(out, overwrite, kind=KIND) as folder:
        if motifs:
            write_meme(folder / MOTIFS, motifs)
        if report.known.known:
            write_meme(folder / KNOWN, report.known.known)
        _write_tsv(folder / "motifs.tsv", report.table, about)
        _write_tsv(folder / "matches.tsv", report.known.matches, about)
        _write_tsv(folder / "contributions.tsv", _contributions(report), about)
        _write_bed(folder / HITS, report.hits, about)
        drawn = [
            (one.contributions, one.motif, report.known.best.get(one.motif.name))
            for one in report.motifs
        ]
        images = counted(contribution_logo_pngs(drawn), "drawing logos", "motifs", len(drawn))
        logos = dict(zip([one.name for one in motifs], images, strict=True))
        (folder / "logos").mkdir()
        for name, image in logos.items():
            (folder / "logos" / f"{name}.png").write_bytes(image)
        page = motif_page(PAGE, report.table, logos, about, report.describe())
        (folder / "motifs.html").write_text(page, encoding="utf-8")
        write_summary(folder, FORMAT, FORMAT_VERSION, report.summary())


def check_attribution_motif_folder(out: Location, overwrite: bool = False) -> None:
    """Check, before a long computation, that `write_attribution_motifs` can write a directory.

    Raises
    ------
    InputError
        When the directory exists and ``overwrite`` is false, when it holds files that
        `write_attribution_motifs` did not write, or when the parent directory is not writable.
    """
    check_output_folder(out, overwrite, kind=KIND)


def _contributions(report: AttributionMotifReport) -> pl.DataFrame:
    """One row per position of each motif."""
    widths = [one.motif.width for one in report.motifs]
    names = [one.motif.name for one in report.motifs]
    positions = [np.arange(width) for width in widths]
    table: dict[str, Any] = {
        "motif": [name for name, width in zip(names, widths, strict=True) for _ in range(width)],
        "position": np.concatenate([np.empty(0, np.int64), *positions]),
    }
    for prefix, kind in (("", "contributions"), ("hypothetical_", "hypothetical")):
        values = np.concatenate([np.empty((0, 4)), *(getattr(one, kind) for one in report.motifs)])
        table |= {prefix + letter: values[:, code] for code, letter in enumerate("ACGT")}
    return pl.DataFrame(table, schema_overrides={"motif": pl.String})


def _write_bed(path: Path, hits: pl.DataFrame, about: dict[str, Any]) -> None:
    """BED with two further columns. All lines that are not hits begin with ``#``."""
    key = hits.columns[0]
    table = hits.select(
        key,
        "start",
        "end",
        "motif",
        (pl.col("similarity").clip(0, 1) * 1000).round().cast(pl.Int64).alias("score"),
        "strand",
        pl.col("contribution", "similarity").round_sig_figs(5),
    )
    names = "\t".join(table.columns)
    with path.open("wb") as file, os_errors():
        file.write(comment_lines(about, names))
        write_rows(file, table)


def _write_tsv(path: Path, table: pl.DataFrame, about: dict[str, Any]) -> None:
    write_table(path, table.with_columns(pl.selectors.float().round_sig_figs(5)), about)
