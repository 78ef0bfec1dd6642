"""The motifs of a model's filters: extracted, compared, drawn and written."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from danq._version import __version__
from danq.errors import InputError
from danq.genome.motif_files import read_motifs, write_meme
from danq.inference.evaluation.matching import open_matching
from danq.inference.writers.tsv import write_table
from danq.interpretation.motifs.filter_sites import (
    BATCH_SIZE,
    BlockSource,
    FilterSites,
    Rule,
    choose_windows,
    filter_sites,
)
from danq.interpretation.motifs.motif_table import CLOSE, Q_LIMIT, Known, Matched, motif_table
from danq.models.run_options import Strand
from danq.output import check_folder, replacing_folder

if TYPE_CHECKING:
    from danq.datasets.dataset import Dataset
    from danq.models import Model

FORMAT = "danq-motifs"
FILES = frozenset(
    {"filters.meme", "filters.tsv", "matches.tsv", "motifs.html", "summary.json", "logos"}
)
"""What the folder holds."""

log = logging.getLogger("danq")


@dataclass(frozen=True, eq=False)
class MotifReport:
    """Motifs of a model's filters.

    Attributes
    ----------
    sites
        What each filter sees where it fires.
    matched
        The table of filters, and their matches.
    provenance
        Model, dataset and settings, as they go into ``summary.json``.
    folder
        Where it was written, or None.
    """

    sites: FilterSites = field(repr=False)
    matched: Matched = field(repr=False)
    provenance: dict[str, Any]
    folder: Path | None = None

    def summary(self) -> dict[str, Any]:
        """Figures, ready for JSON."""
        table = self.matched.table
        return {
            **self.provenance,
            "filters": len(self.sites.sites),
            "filters_with_sites": table.height,
            "filters_matched": int(table["match"].is_not_null().sum()),
            "filters_matched_by_e": int((table["e"] < 0.01).sum()),
            "filters_matched_closely": int((table["correlation"] >= CLOSE).sum()),
            "motifs_matched": int(table["match"].n_unique() - bool(table["match"].null_count())),
            "median_bits": table["bits"].median(),
        }

    def describe(self) -> str:
        """A few lines for a person to read."""
        figures = self.summary()
        lines = [
            f"{figures['filters_with_sites']:,} of {figures['filters']:,} filters fire in "
            f"{figures['sequences']:,} sequences; their motifs hold "
            f"{figures['median_bits'] or 0:.1f} bits in the median"
        ]
        if figures["known_motifs"]:
            lines.append(
                f"filters that resemble a known motif (q <= {figures['q_limit']:g}): "
                f"{figures['filters_matched']:,}, with E < 0.01: "
                f"{figures['filters_matched_by_e']:,}; motifs that they resemble most: "
                f"{figures['motifs_matched']:,} of {figures['known_motifs']:,}"
            )
        if figures["filters_matched_closely"] < figures["filters_matched"]:
            lines.append(
                f"of these filters {figures['filters_matched_closely']:,} correlate with their "
                f"motif by {CLOSE:g} or more; the others may be vague motifs that match by chance"
            )
        return "\n".join(lines)


def find_motifs(
    model: Model | str | Path,
    dataset: Dataset | str | Path,
    *,
    out: str | Path | None = None,
    rule: Rule = "argmax",
    databases: Sequence[str | Path] = (),
    split: str = "test",
    tracks: Sequence[str] | None = None,
    strand: Strand = "both",
    q_limit: float = Q_LIMIT,
    batch_size: int = BATCH_SIZE,
    overwrite: bool = False,
) -> MotifReport:
    """Turn the filters of a model's first layer into motifs, and name what they resemble.

    Parameters
    ----------
    model
        A model, or the path of a model file or run folder.
    dataset
        A dataset of the model's window, bin and tracks, or the path of its file.
    out
        Folder to write: ``filters.meme``, ``filters.tsv``, ``matches.tsv``, ``motifs.html`` (one
        page that needs no other file), ``summary.json`` and ``logos/``. Nothing where None.
    rule
        Which sites make a motif, see `danq.interpretation.motifs.filter_sites.filter_sites`.
    databases
        Files of known motifs (MEME or JASPAR) to compare with.
    split, tracks
        The windows of the split that are positive for one of the tracks are read; None for any.
    strand
        ``"both"`` reads each window and its reverse complement, ``"forward"`` as it is.
    q_limit
        Largest q-value of a match.
    batch_size
        Windows at a time.
    overwrite
        Replace what an earlier call wrote at ``out``.

    Raises
    ------
    InputError
        When the dataset is not the model's, the split has no positive window, a file of motifs
        cannot be read, ``rule`` or ``q_limit`` is none, or ``out`` exists (without ``overwrite``,
        or it holds something else) or cannot be written.
    """
    if not 0 < q_limit <= 1:
        raise InputError(f"a q-value of {q_limit:g} is not within 0 to 1")
    target = None if out is None else check_folder(out, overwrite, objection=objection)
    known = read_known(databases)
    from danq.models import first_layer, load_model

    loaded = load_model(model) if isinstance(model, str | Path) else model
    model, dataset = open_matching(loaded, dataset)

    indices = choose_windows(dataset, split, tracks)
    source = BlockSource(dataset, indices, strand, batch_size)
    sites = filter_sites(first_layer(model.module), source, rule=rule)
    dead = int((sites.sites == 0).sum())
    if dead:
        log.info("%d filters never fire and have no motif", dead)
    about = {
        "created_by": f"danq {__version__}",
        "model": None if model.path is None else str(model.path),
        "model_sha256": model.sha256,
        "dataset": None if dataset.path is None else str(dataset.path),
        "dataset_sha256": dataset.sha256,
        "split": split,
        "tracks": "any" if tracks is None else ", ".join(tracks),
        "windows": len(indices),
        "sequences": sites.sequences,
        "strand": strand,
        "rule": rule,
        "databases": ", ".join(map(str, databases)) or None,
        "known_motifs": len(known.motifs),
        "q_limit": q_limit,
    }
    report = MotifReport(sites, motif_table(sites, known, q_limit), about, target)
    if target is not None:
        with replacing_folder(target, overwrite, objection=objection) as folder:
            _fill(folder, report)
    return report


def read_known(databases: Sequence[str | Path]) -> Known:
    """Motifs of several files; a collection's name is that of its file up to the first dot.

    Raises
    ------
    InputError
        As `danq.genome.motif_files.read_motifs`.
    """
    read = [(Path(path).name.split(".")[0], one) for path in databases for one in read_motifs(path)]
    return Known(tuple(one for _, one in read), tuple(name for name, _ in read))


def objection(folder: Path) -> str | None:
    """Say why a folder is none of `find_motifs`; None when it holds such files alone."""
    strange = sorted({entry.name for entry in folder.iterdir()} - FILES)
    return f"holds '{strange[0]}', which is none of danq's motifs" if strange else None


def _fill(folder: Path, report: MotifReport) -> None:
    from danq.interpretation.motifs.filter_logo_images import logo_pngs
    from danq.interpretation.motifs.motif_page import motif_page

    motifs = report.sites.motifs()
    if motifs:
        write_meme(folder / "filters.meme", motifs)
    _write_tsv(folder / "filters.tsv", report.matched.table, report.provenance)
    _write_tsv(folder / "matches.tsv", report.matched.matches, report.provenance)
    pairs = [(one, report.matched.aligned.get(one.name)) for one in motifs]
    logos = dict(zip((one.name for one in motifs), logo_pngs(pairs), strict=True))
    (folder / "logos").mkdir()
    for name, image in logos.items():
        (folder / "logos" / f"{name}.png").write_bytes(image)
    page = motif_page(report.matched.table, logos, report.provenance, report.describe())
    (folder / "motifs.html").write_text(page, encoding="utf-8")
    text = json.dumps({"format": FORMAT, "format_version": 2, **report.summary()}, indent=2)
    (folder / "summary.json").write_text(text + "\n", encoding="utf-8")


def _write_tsv(path: Path, table: pl.DataFrame, about: dict[str, Any]) -> None:
    write_table(path, table.with_columns(pl.selectors.float().round_sig_figs(5)), about)
