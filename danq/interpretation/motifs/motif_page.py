"""The motifs of all filters as one web page that needs no other file."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from danq.interpretation.html_templates import html_templates

_TEMPLATES = Path(__file__).parent

_TITLES = {
    "filter": "Filter",
    "sites": "Sites",
    "active_fraction": "Active sequences",
    "max_activation": "Maximum activation",
    "information_content": "Information content (bits)",
    "consensus": "Consensus",
    "best_match": "Best match",
    "collection": "Collection",
    "q_value": "q\u2011value",
    "e_value": "E\u2011value",
    "strand": "Strand",
    "correlation": "Correlation",
    "matches": "Matches",
}
_MATCH_COLUMNS = {
    "best_match", "collection", "q_value", "e_value", "strand", "correlation", "matches",
}  # fmt: skip
_STYLES = dict.fromkeys(("filter", "best_match", "collection", "strand"), "text") | {
    "consensus": "text mono"
}


def motif_page(
    filters: pl.DataFrame,
    logos: Mapping[str, bytes],
    provenance: Mapping[str, Any],
    summary: str,
) -> str:
    """HTML page with a table of the filters that is sorted by clicking on a column header.

    Parameters
    ----------
    filters
        ``filters`` of `danq.interpretation.motifs.motif_table.MotifTable`. The page shows the
        filters with the smallest q-values first.
    logos
        PNG of the logo of each filter, by name. The page contains the images.
    provenance
        Names and values shown under "How this page was made".
    summary
        Lines of text above the table.
    """
    hidden = set()
    if filters["best_match"].null_count() == filters.height:
        hidden = _MATCH_COLUMNS
    elif filters["collection"].drop_nulls().n_unique() == 1:
        hidden = {"collection"}
    columns = [
        {
            "name": name,
            "title": title,
            "style": _STYLES.get(name, "number"),
            "ascending": name in ("q_value", "e_value"),
            "sorted": name == "q_value",
        }
        for name, title in _TITLES.items()
        if name not in hidden
    ]
    in_order = filters.sort("q_value", nulls_last=True, maintain_order=True)
    rows = [
        {
            "logo": base64.b64encode(logos[row["filter"]]).decode("ascii"),
            "alt": _alt(row),
            "cells": [_cell(column["name"], row[column["name"]]) for column in columns],
        }
        for row in in_order.iter_rows(named=True)
    ]
    template = html_templates(_TEMPLATES).get_template("motif_page.html")
    return template.render(columns=columns, rows=rows, provenance=provenance, summary=summary)


def _alt(row: Mapping[str, Any]) -> str:
    """What the image of a logo shows."""
    text = f"Logo of {row['filter']}"
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
    if column == "active_fraction":
        return {"text": f"{value:.1%}", "key": value}
    if isinstance(value, float):
        return {"text": f"{value:.2f}", "key": value}
    return {"text": f"{value:,}" if isinstance(value, int) else value, "key": value}
