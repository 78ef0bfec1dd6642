"""What a notebook shows of a model, a dataset or a result.

The classes of danq import this module. It therefore imports libraries only when a notebook needs
them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    import polars as pl
    from jinja2 import Template

ROWS = 10
"""Rows of a table that are shown."""

COLUMNS = 12
"""Columns of a table that are shown."""

LETTERS = 200
"""Characters of a value that are shown; of a longer one, the start is shown."""

_SMALL = ("p_value", "q_value", "e_value", "evalue", "_p", "_q")
_LARGE = 10_000.0
_PAGE = """
<div class="danq-display">
<style>
.danq-display { color: inherit; line-height: 1.4; }
.danq-display > p { margin: .3em 0; }
.danq-display .danq-scroll { max-width: 100%; overflow-x: auto; }
.danq-display table { border-collapse: collapse; margin: .5em 0; color: inherit; }
.danq-display caption { caption-side: top; text-align: left; padding: .2em 0; color: inherit;
  font-weight: 600; }
.danq-display th, .danq-display td { padding: .15em .7em; color: inherit; text-align: right;
  vertical-align: top; border: 0; border-bottom: 1px solid rgba(128, 128, 128, .4); }
.danq-display th { font-weight: 600; }
.danq-display .danq-text { text-align: left; overflow-wrap: break-word; max-width: 40em; }
.danq-display .danq-fact { overflow-wrap: anywhere; }
.danq-display thead th { white-space: normal; }
.danq-display pre { margin: .5em 0; padding: 0; white-space: pre-wrap; color: inherit;
  background: none; overflow-wrap: anywhere; }
</style>
<p><strong>{{ name }}</strong> {{ shown.summary }}</p>
{% if shown.text %}
<pre>{{ shown.text }}</pre>
{% endif %}
{% if facts %}
<table>
<caption>{{ shown.facts_title }}</caption>
<tbody>
{% for key, value in facts.items() %}
<tr><th scope="row" class="danq-text">{{ key }}</th>
<td class="danq-text danq-fact">{{ text(value) }}</td></tr>
{% endfor %}
</tbody>
</table>
{% endif %}
{% for table in shown.tables %}
{% set columns = table.frame.columns[:most] %}
<div class="danq-scroll" tabindex="0" role="group" aria-label="{{ table.title }}">
<table>
<caption>{{ caption(table) }}</caption>
<thead>
<tr>
{% for column in columns %}
<th scope="col"{{ side(table.frame, column) }}>{{ text(column) }}</th>
{% endfor %}
</tr>
</thead>
<tbody>
{% for row in table.frame.select(columns).iter_rows() %}
<tr>
{% for column, value in zip(columns, row) %}
{% if loop.first %}
<th scope="row"{{ side(table.frame, column) }}>{{ text(value, column) }}</th>
{% else %}
<td{{ side(table.frame, column) }}>{{ text(value, column) }}</td>
{% endif %}
{% endfor %}
</tr>
{% endfor %}
</tbody>
</table>
</div>
{% endfor %}
{% if shown.plots %}
<p>Plots:</p>
<ul>
{% for one in shown.plots %}
<li><code>{{ one }}</code></li>
{% endfor %}
</ul>
{% endif %}
</div>
"""


class FirstRows(NamedTuple):
    """The first rows of a table.

    Attributes
    ----------
    title
        What the table shows.
    frame
        Its first rows.
    total
        Number of all rows.
    """

    title: str
    frame: pl.DataFrame
    total: int

    @classmethod
    def of(
        cls,
        title: str,
        table: pl.DataFrame | Mapping[str, Any] | Sequence[Mapping[str, Any]],
        rows: int = ROWS,
    ) -> FirstRows:
        """The first rows of a complete table, without columns that have no value.

        Parameters
        ----------
        title
            What the table shows.
        table
            A data frame, columns by name, or rows.
        rows
            Largest number of rows that are shown.
        """
        import polars as pl

        is_frame = isinstance(table, pl.DataFrame)
        frame = table if is_frame else pl.DataFrame(table, infer_schema_length=None)
        empty = [one for one in frame.columns if 0 < frame.height == frame[one].null_count()]
        return cls(title, frame.drop(empty).head(rows), frame.height)


@dataclass(frozen=True)
class Display:
    """What a notebook shows of an object.

    Attributes
    ----------
    summary
        What it is, in a few words.
    text
        Lines of text.
    facts, facts_title
        Values by name, and the caption of their table. Those without a value are not shown.
    tables
        First rows of tables.
    plots
        Calls that draw it, such as ``danq.plots.plot_roc(report.curves, report.table)``.
    """

    summary: str
    text: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    facts_title: str = "Properties"
    tables: Sequence[FirstRows] = ()
    plots: Sequence[str] = ()

    @classmethod
    def of_text(cls, text: str) -> Display:
        """A summary on the first line, and text below it."""
        summary, _, rest = text.partition("\n")
        return cls(summary, rest)


class Displayed(Protocol):
    """An object that says what a notebook shows of it."""

    def _display(self) -> Display: ...


def display_text(self: Displayed) -> str:
    """Name of the class and summary, as ``__repr__``."""
    return f"{type(self).__name__}({self._display().summary})"


def display_html(self: Displayed) -> str:
    """HTML for a notebook, as ``_repr_html_``.

    It has no script and needs no network. Colours are those of the notebook. Names and values stay
    text.
    """
    shown = self._display()
    facts = {name: value for name, value in shown.facts.items() if _text(value)}
    return _template().render(name=type(self).__name__, shown=shown, facts=facts, most=COLUMNS)


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    def side(frame: pl.DataFrame, column: str) -> Markup:
        return Markup("" if frame[column].dtype.is_numeric() else ' class="danq-text"')

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals.update(caption=_caption, side=side, text=_text, zip=zip)
    return environment.from_string(_PAGE)


def _caption(table: FirstRows) -> str:
    rows, columns = table.frame.height, table.frame.width
    parts = [f"{table.total:,} row{'s' * (table.total != 1)}"]
    if rows < table.total:
        parts = [f"the first {rows:,} of {table.total:,} rows"]
    if columns > COLUMNS:
        parts.append(f"the first {COLUMNS} of {columns:,} columns")
    return f"{table.title}: {', '.join(parts)}"


def _text(value: Any, column: str = "") -> str:
    """A value as text: counts with separators, other numbers with four digits."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        small, large = column.endswith(_SMALL), abs(value) >= _LARGE
        return f"{value:.1e}" if small else f"{value:,.0f}" if large else f"{value:.4g}"
    text = str(value)
    return text if len(text) <= LETTERS else f"{text[:LETTERS]}… ({len(text):,} characters)"
