"""Motifs of all filters as one web page that needs no other file."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined

_TEMPLATES = Path(__file__).parent

_TITLES = {
    "filter": "Filter",
    "sites": "Sites",
    "active": "Active",
    "maximum": "Largest activation",
    "bits": "Bits",
    "consensus": "Consensus",
    "match": "Resembles",
    "collection": "Collection",
    "q": "q",
    "e": "E",
    "strand": "Strand",
    "correlation": "Correlation",
    "matches": "Matches",
}
_STYLES = dict.fromkeys(("filter", "match", "collection", "strand"), "text") | {
    "consensus": "text mono"
}
_OF_MATCHES = {"match", "collection", "q", "e", "strand", "correlation", "matches"}


def motif_page(
    table: pl.DataFrame, logos: Mapping[str, bytes], about: Mapping[str, Any], summary: str
) -> str:
    """HTML of a table, the best matches first, that sorts by a click on a column's head.

    Parameters
    ----------
    table
        As `danq.interpretation.motifs.motif_table.motif_table` makes it.
    logos
        Name of a filter to its logo as PNG; held inside the page.
    about
        Provenance: name to value.
    summary
        A few lines above the table.
    """
    hidden = set()
    if table["match"].null_count() == table.height:
        hidden = _OF_MATCHES
    elif table["collection"].drop_nulls().n_unique() == 1:
        hidden = {"collection"}
    columns = [
        {
            "name": name,
            "title": title,
            "style": _STYLES.get(name, "number"),
            "rising": name in ("q", "e"),
            "sorted": name == "q",
        }
        for name, title in _TITLES.items()
        if name not in hidden
    ]
    rows = [
        {
            "logo": base64.b64encode(logos[row["filter"]]).decode("ascii"),
            "name": row["filter"],
            "cells": [_cell(name["name"], row[name["name"]]) for name in columns],
        }
        for row in table.sort("q", nulls_last=True, maintain_order=True).iter_rows(named=True)
    ]
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("motif_page.html")
    return template.render(columns=columns, rows=rows, about=about, summary=summary)


def _cell(name: str, value: Any) -> dict[str, Any]:
    """What a cell shows, and what it is sorted by."""
    if value is None:
        return {"shown": "", "key": ""}
    if name in ("q", "e"):
        return {"shown": f"{value:.1e}", "key": f"{value:.6e}"}
    if name == "active":
        return {"shown": f"{value:.1%}", "key": value}
    if isinstance(value, float):
        return {"shown": f"{value:.2f}", "key": value}
    return {"shown": f"{value:,}" if isinstance(value, int) else value, "key": value}
