"""Find the motifs of the filters of a model's first layer, and the known motifs that match them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from danq._version import __version__
from danq.device import set_threads
from danq.inference.evaluation.matching import open_matching
from danq.interpretation.motifs.filter_sites import (
    BATCH_SIZE,
    HIGHEST,
    FilterSites,
    Rule,
    WindowBatches,
    find_filter_sites,
    motif_windows,
)
from danq.interpretation.motifs.known_matches import (
    MAX_Q,
    MIN_CORRELATION,
    check_max_q,
    read_known_motifs,
)
from danq.interpretation.motifs.motif_table import MotifTable, motif_table
from danq.notebook_display import Display, FirstRows, display_html, display_text
from danq.progress import stage
from danq.typing import Location

if TYPE_CHECKING:
    from danq.datasets.dataset import Dataset
    from danq.models import Model

MAX_E = 0.01
"""E-value below which the summary counts a match as strong."""

log = logging.getLogger("danq")


@dataclass(frozen=True, eq=False)
class MotifReport:
    """Result of `find_motifs`.

    Attributes
    ----------
    sites
        Sites of each filter.
    table
        Motifs of the filters and their matches.
    provenance
        Model, dataset and settings, as in ``summary.json``.
    """

    sites: FilterSites = field(repr=False)
    table: MotifTable = field(repr=False)
    provenance: dict[str, Any]

    __repr__ = display_text
    _repr_html_ = display_html

    def _display(self) -> Display:
        filters, matches = self.table.filters, self.table.matches
        tables = [FirstRows.of("Motifs of the filters", filters)]
        if matches.height:
            tables.append(FirstRows.of("Matches with known motifs", matches))
        summary = f"{filters.height:,} of {len(self.sites.sites):,} filters have sites"
        return Display(summary, self.describe(), tables=tables)

    def summary(self) -> dict[str, Any]:
        """Provenance and counts of filters and matches, as in ``summary.json``."""
        filters = self.table.filters
        return {
            **self.provenance,
            "filters": len(self.sites.sites),
            "filters_with_sites": filters.height,
            "filters_matched": int(filters["best_match"].is_not_null().sum()),
            "filters_matched_by_e_value": int((filters["e_value"] < MAX_E).sum()),
            "filters_correlated": int((filters["correlation"] >= MIN_CORRELATION).sum()),
            "motifs_matched": filters["best_match"].drop_nulls().n_unique(),
            "median_information_content": filters["information_content"].median(),
        }

    def to_dict(self) -> dict[str, Any]:
        """The summary, and the table of the filters with sites."""
        return {**self.summary(), "table": self.table.filters.to_dicts()}

    def describe(self) -> str:
        """The summary as text."""
        summary = self.summary()
        matched, correlated = summary["filters_matched"], summary["filters_correlated"]
        lines = [
            f"{summary['filters_with_sites']:,} of {summary['filters']:,} filters have sites in "
            f"{summary['sequences']:,} sequences; median information content "
            f"{summary['median_information_content'] or 0:.1f} bits"
        ]
        if summary["known_motifs"]:
            lines.append(
                f"filters that match a known motif (q <= {summary['max_q']:g}): {matched:,} "
                f"({summary['filters_matched_by_e_value']:,} with E < {MAX_E:g}); known motifs "
                f"that are the best match of a filter: {summary['motifs_matched']:,} of "
                f"{summary['known_motifs']:,}"
            )
        if correlated < matched:
            lines.append(
                f"best matches with a correlation of {MIN_CORRELATION:g} or more: {correlated:,} "
                f"of {matched:,}; the others may be spurious, because motifs of low information "
                "match many others"
            )
        return "\n".join(lines)


def find_motifs(
    model: Model,
    dataset: Dataset | Location,
    *,
    rule: Rule = "argmax",
    databases: Sequence[Location] = (),
    split: str = "test",
    tracks: Sequence[str] | None = None,
    max_q: float = MAX_Q,
) -> MotifReport:
    """Derive a motif from the sites of each first-layer filter, and match it with known motifs.

    The windows of ``split`` that are positive for at least one of ``tracks`` are used; for tracks
    of amounts, the tenth of the windows with the highest amounts, see
    `danq.interpretation.motifs.filter_sites.motif_windows`. With ``strand="both"`` in the options
    of the model, their reverse complements are used as well.

    Parameters
    ----------
    model
        A loaded model. Its options ``strand``, ``batch_size`` and ``threads`` apply; filters are
        always applied on the CPU in float32.
    dataset
        A dataset with the window, bin and tracks of the model, or its file.
    rule
        Rule that selects the sites, see
        `danq.interpretation.motifs.filter_sites.find_filter_sites`.
    databases
        Files of known motifs, in any format of `danq.read_motifs`.
    split
        ``"train"``, ``"valid"`` or ``"test"``.
    tracks
        Names of tracks. None uses all tracks.
    max_q
        Maximum q-value of a match.

    Raises
    ------
    InputError
        When the dataset does not match the model, the split has no such window, a motif file
        cannot be read or is given twice, the rule does not exist, or ``max_q`` is not in (0, 1].
    """
    check_max_q(max_q)
    known = read_known_motifs(databases)
    model, dataset = open_matching(model, dataset)
    from danq.models import first_layers

    if model.options.threads is not None:
        set_threads(model.options.threads)
    indices = motif_windows(dataset, split, tracks)
    batches = WindowBatches(
        dataset, indices, model.options.strand, model.options.batch_size or BATCH_SIZE
    )
    sites = find_filter_sites(first_layers(model.module), batches, rule=rule)
    without_sites = int((sites.sites == 0).sum())
    if without_sites:
        log.info("%d filters have no sites and no motif", without_sites)
    provenance = {
        "created_by": f"danq {__version__}",
        "model": None if model.path is None else str(model.path),
        "model_sha256": model.sha256,
        "dataset": None if dataset.path is None else str(dataset.path),
        "dataset_sha256": dataset.sha256,
        "split": split,
        "tracks": "any" if tracks is None else ", ".join(tracks),
        "windows": len(indices),
        "highest_share_of_amounts": HIGHEST if model.spec.has_amounts else None,
        "sequences": sites.sequences,
        "strand": model.options.strand,
        "rule": rule,
        "databases": ", ".join(map(str, databases)) or None,
        "known_motifs": len(known.motifs),
        "max_q": max_q,
    }
    with stage("comparing with known motifs"):
        return MotifReport(sites, motif_table(sites, known, max_q), provenance)
