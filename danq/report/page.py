"""The page of a report: sections as HTML, with its script, style and numbers in one file."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from markupsafe import Markup

from danq._version import __version__
from danq.inference.writers.tsv import head, write_rows
from danq.interpretation.html_templates import html_templates
from danq.report.content import Absent, Chart, Logo, MutationMap, Plot, Section, Strip, Table
from danq.report.draw_charts import HEIGHT, WIDTH, draw_chart
from danq.report.draw_sequences import WIDTH as WIDE
from danq.report.draw_sequences import (
    draw_logo,
    draw_mutation_map,
    draw_strip,
    letter_symbols,
    map_height,
)
from danq.report.svg import element
from danq.report.terms import TERMS, MarkedTerms, find_term, term_id

NUMBERS = 20_000
"""Largest number of rows behind a link to numbers."""

_FOLDER = Path(__file__).parent
_SMALL = ("p_value", "q_value", "e_value", "q_min", "evalue", "p", "q")
_COUNTED = 10_000.0

_UNBROKEN = 28
"""Characters of the longest text of a column whose lines are not broken."""


def render_page(sections: Sequence[Section], title: str, *, thinned: int = 1) -> str:
    """The page as HTML.

    Parameters
    ----------
    sections
        Its sections, in order.
    title
        Its title.
    thinned
        Factor by which tables and numbers have fewer rows than usual.
    """
    environment = html_templates(_FOLDER)
    source = environment.loader
    assert source is not None
    style, script = (source.get_source(environment, name)[0] for name in ("page.css", "page.js"))
    return environment.get_template("page.html").render(
        title=title,
        generator=f"danq {__version__}",
        sections=[_section(one, number, thinned) for number, one in enumerate(sections, start=1)],
        symbols=letter_symbols(),
        terms=[
            {"id": term_id(name), "name": name, "text": text}
            for name, text in sorted(TERMS.items(), key=_key)
        ],
        style=Markup(style),
        style_hash=_hash(style),
        script=Markup(script),
        script_hash=_hash(script),
    )


def _key(item: tuple[str, str]) -> str:
    return item[0].lower()


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _section(section: Section, number: int, thinned: int) -> dict[str, Any]:
    marked = MarkedTerms()
    parts = []
    for position, part in enumerate(section.parts, start=1):
        name = f"s{number}-{position}"
        if isinstance(part, Absent):
            parts.append({"kind": "absent", "what": part.what, "why": _sentence(part.why)})
        elif isinstance(part, Plot):
            parts.append(_plot(part, name, marked, thinned))
        else:
            parts.append(_table(part, name, marked, thinned))
    return {
        "id": f"s{number}",
        "title": section.title,
        "source": str(section.source),
        "facts": [(marked(name), value) for name, value in section.facts.items()],
        "parts": parts,
        "provenance": list(section.provenance.items()),
    }


def _plot(plot: Plot, name: str, marked: MarkedTerms, thinned: int) -> dict[str, Any]:
    wide = not isinstance(plot.drawing, Chart)
    width, height = (WIDE, HEIGHT) if wide else (WIDTH, HEIGHT)
    if isinstance(plot.drawing, Chart):
        drawn = draw_chart(plot.drawing)
    elif isinstance(plot.drawing, MutationMap):
        drawn, height = draw_mutation_map(plot.drawing), map_height()
    elif isinstance(plot.drawing, Strip):
        drawn, height = draw_strip(plot.drawing)
    else:
        raise TypeError(f"a {type(plot.drawing).__name__} is drawn in tables only")
    return {
        "kind": "plot",
        "id": name,
        "title": plot.title,
        "caption": marked(plot.caption + drawn.note),
        "summary": plot.summary,
        "svg": drawn.svg,
        "legend": drawn.legend,
        "readout": drawn.readout,
        "wide": wide,
        "zooms": wide,
        "width": width,
        "height": height,
        "numbers": _numbers(plot.numbers, plot.title, thinned),
    }


def _table(table: Table, name: str, marked: MarkedTerms, thinned: int) -> dict[str, Any]:
    frame = table.frame
    if table.sorted_by is not None:
        frame = frame.sort(
            table.sorted_by, descending=table.descending, nulls_last=True, maintain_order=True
        )
    limit = max(10, table.limit // thinned)
    shown = frame.head(limit)
    columns = []
    for column in frame.columns:
        title = table.titles.get(column, _title(column))
        term = find_term(title)
        order = "descending" if table.descending else "ascending"
        columns.append(
            {
                "title": title,
                "style": _style(shown[column]),
                "sorted": order if column == table.sorted_by else None,
                "term": None if term is None else term_id(term),
            }
        )
    rows = [
        {
            "cells": [_cell(n, v) for n, v in row.items()],
            "logo": _logo(table.logos.get(str(next(iter(row.values()))))),
        }
        for row in shown.iter_rows(named=True)
    ]
    count = f"{frame.height:,} row{'s' * (frame.height != 1)}"
    if frame.height > limit:
        count = f"the first {limit:,} of {frame.height:,} rows"
    return {
        "kind": "table",
        "id": name,
        "title": table.title,
        "caption": marked(table.caption),
        "columns": columns,
        "rows": rows,
        "logos": bool(table.logos),
        "count": count,
        "numbers": _numbers(
            frame if table.numbers is None else table.numbers, table.title, thinned
        ),
    }


def _style(column: pl.Series) -> str:
    """Class of the cells of a column."""
    if column.dtype.is_numeric():
        return "number"
    longest = column.cast(pl.String).str.len_chars().max()
    return "text" if isinstance(longest, int) and longest > _UNBROKEN else "text unbroken"


def _sentence(text: str) -> str:
    """A reason as a sentence. A path at its start stays as it is."""
    first, _, _ = text.partition(" ")
    start = text[:1].upper() + text[1:] if first.isalpha() else text
    return start + ("" if text.endswith(".") else ".")


def _title(column: str) -> str:
    text = column.replace("_", " ")
    return text[:1].upper() + text[1:]


def _cell(column: str, value: Any) -> dict[str, Any]:
    """Text of a cell, and the key that it is sorted by."""
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return {"text": "", "key": ""}
    if isinstance(value, float):
        small = column in _SMALL or column.endswith(_SMALL)
        large = abs(value) >= _COUNTED
        tiny = small and abs(value) < 0.01
        text = f"{value:.1e}" if tiny else f"{value:,.0f}" if large else f"{value:.4g}"
        return {"text": text, "key": f"{value:.9g}"}
    if isinstance(value, int):
        return {"text": f"{value:,}", "key": value}
    return {"text": str(value), "key": str(value)}


def _logo(logo: Logo | None) -> Markup | str:
    if logo is None:
        return ""
    drawn, width, height = draw_logo(logo)
    label = f"Logo, most frequent bases {_highest(logo.heights)}"
    if logo.known is not None:
        known = logo.known
        which = "the reverse complement of the known motif" if known.reverse else "the known motif"
        label += (
            f"; below it {which} {known.name}, most frequent bases {_highest(known.heights)}, "
            f"its position {max(0, -known.start) + 1} below position {max(0, known.start) + 1}"
        )
    return element(
        "svg",
        drawn,
        role="img",
        aria_label=label,
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
    )


def _highest(heights: np.ndarray) -> str:
    return "".join("ACGT"[code] for code in heights.argmax(axis=1))


def _numbers(table: pl.DataFrame, title: str, thinned: int) -> Mapping[str, str]:
    """A link to a table as TSV, in the page itself."""
    most = max(100, NUMBERS // thinned // max(1, table.width // 8))
    note = "" if table.height <= most else f" (the first {most:,} of {table.height:,} rows)"
    text = io.BytesIO()
    plain = table.head(most).with_columns(pl.selectors.float().fill_nan(None))
    text.write(head(plain.columns, {}))
    write_rows(text, plain)
    slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60] or "numbers"
    data = base64.b64encode(text.getvalue()).decode("ascii")
    return {
        "href": f"data:text/tab-separated-values;charset=utf-8;base64,{data}",
        "name": f"{slug}.tsv",
        "note": note,
    }


def sections_shown(sections: Sequence[Section]) -> Iterator[str]:
    """One line for each section: its title, and what it does not show."""
    for section in sections:
        absent = [part.what for part in section.parts if isinstance(part, Absent)]
        shown = len(section.parts) - len(absent)
        line = f"{section.title}: {shown} part{'s' * (shown != 1)}"
        yield f"{line}; not shown: {'; '.join(absent)}" if absent else line
