"""The section on the motifs of filters: logos and their matches with known motifs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from danq.errors import InputError
from danq.genome.information_content import letter_heights
from danq.genome.motif_files import read_motifs
from danq.genome.motif_matrix import Motif
from danq.interpretation.motifs.write_motifs import FILTERS, FORMAT, FORMAT_VERSION, KNOWN
from danq.report.content import (
    Absent,
    Axis,
    Chart,
    KnownLogo,
    Logo,
    Part,
    Plot,
    Section,
    Series,
    Table,
)
from danq.report.known_motifs import aligned_known_motifs
from danq.report.result_folder import ResultFolder, open_result_folder, summary_texts

LOGOS = 200
"""Motifs with a logo: those with the smallest q-values, then those with the most information."""

_TEXT: dict[str, type[pl.DataType]] = dict.fromkeys(
    ("filter", "consensus", "best_match", "collection", "strand", "motif"), pl.String
)
_AGAIN = "Run danq motifs again"
_FILTERS = ("filter", "best_match", "collection", "q_value", "correlation", "information_content",
            "active_fraction")  # fmt: skip
_FIRST = ("filter", "best_match", "correlation", "q_value")
_ABOUT = (
    "created_by",
    "model",
    "model_sha256",
    "dataset",
    "dataset_sha256",
    "split",
    "rule",
    "strand",
    "databases",
    "max_q",
)
_NUMBERS = (
    "p_value",
    "e_value",
    "q_value",
    "correlation",
    "information_content",
    "max_activation",
    "active_fraction",
)


def motif_section(path: Path) -> Section:
    """Section on the folder of `danq.write_motifs`."""
    folder, summary, error = open_result_folder(
        path, "a motif report", (FORMAT, FORMAT_VERSION), _AGAIN
    )
    parts: list[Part] = []
    if error is not None:
        parts.append(Absent("the settings of the motifs", str(error)))
    matches = _table(folder, "matches.tsv", "filter", "motif", "q_value", "correlation", "strand")
    parts += [*_filters(folder, matches), *_matches(matches)]
    about = summary_texts(summary, _ABOUT)
    return Section(f"Motifs: {path.name}", path, _facts(summary), tuple(parts), about)


def _table(folder: ResultFolder, name: str, *needed: str) -> pl.DataFrame | InputError:
    table = folder.table(name, _TEXT, needed)
    if isinstance(table, InputError):
        return table
    numbers = [name for name in _NUMBERS if name in table.columns]
    return table.with_columns(pl.col(numbers).cast(pl.Float64))


def _facts(summary: dict[str, Any]) -> dict[str, str]:
    names = {
        "filters": "filters",
        "filters_with_sites": "filters with sites",
        "sequences": "sequences",
        "known_motifs": "known motifs",
        "filters_matched": "filters with a match",
        "filters_correlated": "matches with a correlation of 0.7 or more",
    }
    return {
        text: f"{summary[name]:,}"
        for name, text in names.items()
        if isinstance(summary.get(name), int)
    }


def _filters(folder: ResultFolder, matches: pl.DataFrame | InputError) -> Iterator[Part]:
    table = _table(folder, "filters.tsv", *_FILTERS)
    if isinstance(table, InputError):
        yield Absent("the table of motifs", str(table))
        return
    if not table.height:
        yield Absent("the motifs", "no filter has sites")
        return
    try:
        motifs = {one.name: one for one in read_motifs(folder.check(FILTERS))}
    except InputError as error:
        yield Absent("the logos", str(error))
        motifs = {}
    matched = table["best_match"].null_count() < table.height
    table = table.sort(
        "q_value" if matched else "information_content", descending=not matched, nulls_last=True
    )
    shown = [name for name in table["filter"] if name in motifs][:LOGOS]
    known: Mapping[str, KnownLogo] = {}
    if matched and motifs:
        known_or_error = _known(folder, table, matches, motifs)
        if isinstance(known_or_error, InputError):
            yield Absent("the logos of the known motifs", str(known_or_error))
        else:
            known = known_or_error
    logos = {
        name: Logo(letter_heights(motifs[name].probabilities), known=known.get(name))
        for name in shown
    }
    single = table["collection"].drop_nulls().n_unique() == 1
    kept = [
        name
        for name in (*_FIRST, *(one for one in table.columns if one not in _FIRST))
        if table[name].null_count() < table.height
        and name not in ("core_start", "p_value")
        and not (name == "collection" and single)
    ]
    more = "" if len(shown) == table.height else f" The first {len(shown):,} have a logo."
    if known:
        more = (
            " The lower logo is the known motif of the best match, aligned as Tomtom found it, and "
            f"its reverse complement where the strand is -.{more}"
        )
    yield Table(
        "Motifs of the filters",
        "Each row is a filter of the first layer: the base frequencies at the sites that activate "
        "it. In a logo, the height of a position is its information content (0 to 2 bits), and "
        "letters are as high as their bases are frequent. Matches with a correlation below 0.7 may "
        f"be chance: a motif with low information content matches many others.{more}",
        table.select(kept),
        {
            "active_fraction": "Active sequences (fraction)",
            "information_content": "Information content (bits)",
            "q_value": "q-value",
            "e_value": "E-value",
            "max_activation": "Maximum activation",
            "best_match": "Best match",
        },
        "q_value" if matched else "information_content",
        not matched,
        logos,
    )
    yield _activity(table.drop_nulls("information_content"))


def _activity(known: pl.DataFrame) -> Plot:
    return Plot(
        "Information content and activity of the filters",
        "Each mark is a filter. To the right, motifs are more specific; upwards, more of the "
        "positive sequences activate the filter. Filters at the lower left detect little.",
        Chart(
            Axis("Information content (bits)"),
            Axis("Active sequences (fraction)", 0.0),
            (
                Series(
                    "filters",
                    known["information_content"].to_numpy(),
                    known["active_fraction"].to_numpy(),
                    "points",
                    tuple(known["filter"]),
                ),
            ),
        ),
        known.select("filter", "information_content", "active_fraction"),
        f"{known.height:,} filters; the median information content is "
        f"{known['information_content'].median():.1f} bits.",
    )


def _known(
    folder: ResultFolder,
    filters: pl.DataFrame,
    matches: pl.DataFrame | InputError,
    motifs: Mapping[str, Motif],
) -> Mapping[str, KnownLogo] | InputError:
    if isinstance(matches, InputError):
        return matches
    try:
        if (folder.path / KNOWN).exists():
            folder.check(KNOWN)
        return aligned_known_motifs(folder.path, filters, matches, motifs)
    except InputError as error:
        return error


def _matches(table: pl.DataFrame | InputError) -> Iterator[Part]:
    if isinstance(table, InputError):
        yield Absent("the matches with known motifs", str(table))
        return
    if not table.height:
        yield Absent("matches with known motifs", "there are none, or no database was given")
        return
    counts = (
        table.group_by("motif")
        .agg(pl.len().alias("filters"), pl.col("q_value").min(), pl.col("correlation").max())
        .sort("filters", "motif", descending=[True, False])
    )
    yield Table(
        "Known motifs with a match",
        "Number of filters that match each known motif, their smallest q-value and highest "
        "correlation.",
        counts,
        {
            "motif": "Known motif",
            "q_value": "Smallest q-value",
            "correlation": "Highest correlation",
        },
        "filters",
    )
