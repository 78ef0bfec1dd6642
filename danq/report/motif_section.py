"""The section on the motifs of filters: logos and their matches with known motifs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from danq.errors import InputError
from danq.files.json_file import read_json
from danq.files.open_input import check_file
from danq.genome.information_content import letter_heights
from danq.genome.motif_files import read_motifs
from danq.genome.motif_matrix import Motif
from danq.interpretation.motifs.write_motifs import FILTERS, FORMAT, FORMAT_VERSION, KNOWN
from danq.provenance import sha256_of
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
from danq.report.read_tables import read_stored_table

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
    title = f"Motifs: {path.name}"
    try:
        summary = read_json(path / "summary.json", "a motif report", remedy=_AGAIN)
        known = isinstance(summary, dict) and summary.get("format") == FORMAT
        if not known or summary.get("format_version") != FORMAT_VERSION:
            raise InputError(
                f"is not a motif report of format version {FORMAT_VERSION}",
                file=path / "summary.json",
                remedy=_AGAIN,
            )
    except InputError as error:
        summary = {}
        parts: list[Part] = [Absent("the settings of the motifs", str(error))]
        files = None
    else:
        parts, files = [], summary.get("files")
        files = files if isinstance(files, dict) else {}
    folder = _Folder(path, files)
    matches = folder.table("matches.tsv", "filter", "motif", "q_value", "correlation", "strand")
    parts += [*_filters(folder, matches), *_matches(matches)]
    about = {name.replace("_", " "): _text(summary[name]) for name in _ABOUT if summary.get(name)}
    return Section(title, path, _facts(summary), tuple(parts), about)


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


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


class _Folder(NamedTuple):
    """Files of the folder; their checksums are None where the summary cannot be read."""

    path: Path
    checksums: Mapping[str, Any] | None

    def check(self, name: str) -> Path:
        """The path of a file, whose bytes are those that were written."""
        path = check_file(self.path / name)
        if self.checksums is not None and sha256_of(path) != self.checksums.get(name):
            raise InputError("has changed since it was written", file=path, remedy=_AGAIN)
        return path

    def table(self, name: str, *needed: str) -> pl.DataFrame | InputError:
        """A table, or what is wrong with it."""
        try:
            table = read_stored_table(self.check(name), _TEXT, needed=needed).frame
        except InputError as error:
            return error
        numbers = [name for name in _NUMBERS if name in table.columns]
        return table.with_columns(pl.col(numbers).cast(pl.Float64))


def _filters(folder: _Folder, matches: pl.DataFrame | InputError) -> Iterator[Part]:
    table = folder.table("filters.tsv", *_FILTERS)
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
    folder: _Folder,
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
