"""A table of motifs with their logos, as one web page that needs no other file."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from danq.interpretation.html_templates import html_templates

_TEMPLATES = Path(__file__).parent

MATCH_TITLES = {
    "best_match": "Best match",
    "collection": "Collection",
    "q_value": "q\u2011value",
    "e_value": "E\u2011value",
    "strand": "Strand",
    "correlation": "Correlation",
    "matches": "Matches",
}
"""Columns of the best matches with known motifs, and their titles."""

MATCH_MEANINGS = {
    "q-value": "False discovery rate of the best match (Tomtom).",
    "E-value": "Expected number of known motifs that match as well by chance.",
    "Strand": "Strand of the known motif that matches.",
    "Correlation": "Pearson's correlation of the base frequencies of both motifs. Matches below "
    "0.7 may be spurious.",
    "Matches": "Number of known motifs that match.",
}

_STYLES = dict.fromkeys(("filter", "motif", "best_match", "collection", "strand"), "text") | {
    "consensus": "text mono"
}
_PERCENT = ("active_fraction", "sequences_with_hits")


@dataclass(frozen=True)
class MotifPage:
    """Texts of a page.

    Attributes
    ----------
    title
        Its heading.
    columns
        Columns of the table and their titles; the first one names a motif, and its logo follows.
    meanings
        Explanations of titles.
    """

    title: str
    columns: Mapping[str, str]
    meanings: Mapping[str, str]


FILTERS_PAGE = MotifPage(
    "Motifs of the first-layer filters",
    {
        "filter": "Filter",
        "sites": "Sites",
        "active_fraction": "Active sequences",
        "max_activation": "Maximum activation",
        "information_content": "Information content (bits)",
        "consensus": "Consensus",
        **MATCH_TITLES,
    },
    {
        "Logo": "Letter heights in bits. The lower logo is the best-matching known motif, aligned "
        "with the filter.",
        "Sites": "Number of subsequences that activate the filter, selected by the rule given "
        "above.",
        "Active sequences": "Fraction of the sequences that activate the filter.",
        "Maximum activation": "Over all sequences, before the ReLU.",
        "Information content": "Sum over all positions of the filter.",
        "Consensus": "IUPAC letters of the core, which is the motif without its ends below 0.25 "
        "bits.",
        **MATCH_MEANINGS,
    },
)


def motif_page(
    page: MotifPage,
    table: pl.DataFrame,
    logos: Mapping[str, bytes],
    provenance: Mapping[str, Any],
    summary: str,
) -> str:
    """HTML page with a table of motifs that is sorted by clicking on a column header.

    Parameters
    ----------
    page
        Title, columns and their meanings.
    table
        One row per motif. The page shows those with the smallest q-values first.
    logos
        PNG of the logo of each motif, by name. The page contains the images.
    provenance
        Names and values shown under "How this page was made".
    summary
        Lines of text above the table.
    """
    hidden = set()
    if table["best_match"].null_count() == table.height:
        hidden = set(MATCH_TITLES)
    elif table["collection"].drop_nulls().n_unique() == 1:
        hidden = {"collection"}
    columns = [
        {
            "name": name,
            "title": title,
            "style": _STYLES.get(name, "number"),
            "ascending": name in ("q_value", "e_value"),
            "sorted": name == "q_value",
        }
        for name, title in page.columns.items()
        if name not in hidden
    ]
    named = next(iter(page.columns))
    in_order = table.sort("q_value", nulls_last=True, maintain_order=True)
    rows = [
        {
            "logo": base64.b64encode(logos[row[named]]).decode("ascii"),
            "alt": _alt(row, named),
            "cells": [_cell(column["name"], row[column["name"]]) for column in columns],
        }
        for row in in_order.iter_rows(named=True)
    ]
    template = html_templates(_TEMPLATES).get_template("motif_page.html")
    return template.render(
        page=page,
        source=provenance.get("model"),
        columns=columns,
        rows=rows,
        provenance=provenance,
        summary=summary,
    )


def _alt(row: Mapping[str, Any], named: str) -> str:
    """What the image of a logo shows."""
    text = f"Logo of {row[named]}"
    if row["best_match"] is None:
        return text
    strand = ", reverse complement" if row["strand"] == "-" else ""
    return f"{text}, above the aligned known motif {row['best_match']}{strand}"


def _cell(column: str, value: Any) -> dict[str, Any]:
    """Text of a cell, and the key that it is sorted by."""
    if value is None:
        return {"text": "", "key": ""}
    if column in ("q_value", "e_value"):
        return {"text": f"{value:.1e}", "key": f"{value:.6e}"}
    if column in _PERCENT:
        return {"text": f"{value:.1%}", "key": value}
    if isinstance(value, float):
        return {"text": f"{value:.2f}", "key": value}
    return {"text": f"{value:,}" if isinstance(value, int) else value, "key": value}
