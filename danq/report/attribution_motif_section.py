"""The section on the motifs of attributions: logos of contributions, hits and known motifs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from danq.errors import InputError
from danq.interpretation.attribution_motifs.write_attribution_motifs import FORMAT, FORMAT_VERSION
from danq.report.content import Absent, Logo, Part, Section, Table
from danq.report.result_folder import ResultFolder, open_result_folder, summary_texts

_AGAIN = "Run danq motifs again"
_TEXT: dict[str, type[pl.DataType]] = dict.fromkeys(
    ("motif", "consensus", "best_match", "collection", "strand", "known_motif"), pl.String
)
_FACTS = ("track", "motifs", "hits", "sequences", "sequences_with_hits", "known_motifs")
_ABOUT = (
    "created_by",
    "model",
    "attributions",
    "attributions_sha256",
    "method",
    "databases",
    "max_q",
)
_CONTRIBUTIONS = ("A", "C", "G", "T")


def attribution_motif_section(path: Path) -> Section:
    """Section on the folder of `danq.write_attribution_motifs`."""
    folder, summary, error = open_result_folder(
        path, "a report of the motifs of attributions", (FORMAT, FORMAT_VERSION), _AGAIN
    )
    title = f"Motifs of attributions: {path.name}"
    if error is not None:
        return Section(title, path, parts=(Absent("the motifs", str(error)),))
    parts = (*_motifs(folder), *_matches(folder))
    facts, about = summary_texts(summary, _FACTS), summary_texts(summary, _ABOUT)
    return Section(title, path, facts, parts, about)


def _motifs(folder: ResultFolder) -> Iterator[Part]:
    table = folder.table("motifs.tsv", _TEXT, ("motif", "seqlets", "hits"))
    if isinstance(table, InputError):
        yield Absent("the table of motifs", str(table))
        return
    if not table.height:
        yield Absent("the motifs", "the attributions have none")
        return
    logos: dict[str, Logo] = {}
    heights = folder.table("contributions.tsv", _TEXT, ("motif", "position", *_CONTRIBUTIONS))
    if isinstance(heights, InputError):
        yield Absent("the logos", str(heights))
    else:
        for (name,), own in heights.group_by("motif", maintain_order=True):
            logos[str(name)] = Logo(own.select(_CONTRIBUTIONS).to_numpy(), "contribution")
    kept = [
        name
        for name in table.columns
        if table[name].null_count() < table.height and name not in ("core_start", "p_value")
    ]
    yield Table(
        "Motifs",
        "Each row is a motif that TF-MoDISco made from sites with large contributions (seqlets). "
        "Letters of the logo are as high as the mean contribution of their bases. Hits are the "
        "sites at which contributions are like those of the motif.",
        table.select(kept),
        {
            "sequences_with_hits": "Sequences with hits (fraction)",
            "contribution": "Contribution of a hit",
            "information_content": "Information content (bits)",
            "q_value": "q-value",
            "e_value": "E-value",
            "best_match": "Best match",
        },
        "seqlets",
        logos=logos,
    )


def _matches(folder: ResultFolder) -> Iterator[Part]:
    table = folder.table("matches.tsv", _TEXT, ("motif", "known_motif"))
    if isinstance(table, InputError):
        yield Absent("the matches with known motifs", str(table))
    elif not table.height:
        yield Absent("matches with known motifs", "there are none, or no database was given")
    else:
        yield Table(
            "Matches with known motifs",
            "Known motifs that Tomtom's method aligns with each motif.",
            table.drop("p_value", "entry", "offset", strict=False),
            {"known_motif": "Known motif", "q_value": "q-value", "e_value": "E-value"},
        )
