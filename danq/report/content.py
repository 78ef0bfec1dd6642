"""What a report consists of: sections of plots, tables and notes, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import polars as pl
from jaxtyping import Float

Scale = Literal["linear", "log", "logit"]
Draw = Literal["line", "points", "bars", "crowd"]


@dataclass(frozen=True)
class Axis:
    """An axis of a chart.

    Attributes
    ----------
    label
        What it shows, with its unit.
    low, high
        Ends; None for those of the values.
    scale
        Scale of the axis.
    whole
        Whether only whole numbers have ticks.
    """

    label: str
    low: float | None = None
    high: float | None = None
    scale: Scale = "linear"
    whole: bool = False


@dataclass(frozen=True, eq=False)
class Series:
    """Values that a chart draws in one way.

    Attributes
    ----------
    name
        Name in the legend.
    x, y
        ``(N,)`` values; NaN interrupts a line. Of bars, ``x`` has the ``N + 1`` edges. A crowd has
        ``(T, N)`` values, a faint line for each row.
    draw
        How it is drawn.
    labels
        Name of each point, for the readout.
    low, high
        ``(N,)`` ends of an interval around each point, drawn as a vertical line.
    style
        Index of colour, dash and mark; None for the position among the series.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    draw: Draw = "line"
    labels: tuple[str, ...] = ()
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    style: int | None = None


@dataclass(frozen=True)
class Chart:
    """A chart with two axes.

    Attributes
    ----------
    x, y
        Axes.
    series
        What is drawn, in this order.
    diagonal
        Whether the line of equal values is drawn.
    """

    x: Axis
    y: Axis
    series: tuple[Series, ...]
    diagonal: bool = False


@dataclass(frozen=True, eq=False)
class KnownLogo:
    """Logo of a known motif that is aligned with another motif.

    Attributes
    ----------
    name
        Name of the known motif.
    heights
        ``(L, 4)`` heights of A, C, G, T, in the unit of the other logo.
    start
        Position of the other motif, from 0, at which it starts; negative where it starts first.
    reverse
        Whether the heights are those of its reverse complement.
    """

    name: str
    heights: Float[np.ndarray, "L 4"]
    start: int
    reverse: bool = False


@dataclass(frozen=True, eq=False)
class Logo:
    """A sequence logo.

    Attributes
    ----------
    heights
        ``(L, 4)`` heights of A, C, G, T.
    unit
        Unit of the heights.
    start
        Number of the first position.
    known
        Known motif that is drawn below it.
    """

    heights: Float[np.ndarray, "L 4"]
    unit: str = "bits"
    start: int = 1
    known: KnownLogo | None = None


@dataclass(frozen=True, eq=False)
class MutationMap:
    """Values of the four bases at each position of a sequence: a logo above a heat map.

    Attributes
    ----------
    sequence
        Name of the contig or record.
    start
        0-based position of the first base.
    codes
        ``(L,)`` reference bases, 4 where unknown.
    effects
        ``(L, 4)`` effect or contribution of A, C, G, T; NaN where unknown.
    unit
        What an effect is.
    mark
        1-based position that is marked, such as that of a variant.
    importance
        ``(L,)`` heights of the letters of the logo; None for minus the mean effect of the three
        substitutions.
    """

    sequence: str
    start: int
    codes: np.ndarray
    effects: Float[np.ndarray, "L 4"]
    unit: str
    mark: int | None = None
    importance: Float[np.ndarray, "L"] | None = None


@dataclass(frozen=True, eq=False)
class StripRow:
    """A row of a browser strip.

    Attributes
    ----------
    name
        Name of the track.
    what
        What the values are: "predicted probability", "observed peaks".
    start, end
        ``(N,)`` 0-based half-open intervals, ascending.
    value
        ``(N,)`` value of each interval.
    high
        Largest value of the axis; None for that of the values.
    """

    name: str
    what: str
    start: np.ndarray
    end: np.ndarray
    value: np.ndarray
    high: float | None = None


@dataclass(frozen=True)
class Gene:
    """A gene, or another named interval: 0-based half-open, with its exons."""

    name: str
    start: int
    end: int
    strand: str = "."
    exons: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Strip:
    """Tracks and genes of a region, one row below the other.

    Attributes
    ----------
    contig, start, end
        The region, 0-based half-open.
    rows
        Tracks.
    genes
        Genes that overlap it; None if no annotation was given.
    """

    contig: str
    start: int
    end: int
    rows: tuple[StripRow, ...]
    genes: tuple[Gene, ...] | None = None


Drawing: TypeAlias = "Chart | Logo | MutationMap | Strip"


@dataclass(frozen=True, eq=False)
class Plot:
    """A drawing with what a reader needs to understand it.

    Attributes
    ----------
    title
        Title.
    caption
        How to read it.
    drawing
        What is drawn.
    numbers
        The numbers of the drawing, for the link to a TSV.
    summary
        What it shows, in a sentence, for readers who do not see it.
    """

    title: str
    caption: str
    drawing: Drawing
    numbers: pl.DataFrame
    summary: str


@dataclass(frozen=True, eq=False)
class Table:
    """A table that is sorted and searched in the page.

    Attributes
    ----------
    title
        Title.
    caption
        What its rows and columns are.
    frame
        Its rows and columns. The first column names the row.
    titles
        Titles of columns; those without one have their name.
    sorted_by, descending
        Column by which the rows are sorted, if any.
    logos
        Logo by the name of the row, shown in the second column.
    limit
        Largest number of rows in the page; the link to the numbers has more.
    numbers
        What the link has in place of ``frame``.
    """

    title: str
    caption: str
    frame: pl.DataFrame
    titles: Mapping[str, str] = field(default_factory=dict)
    sorted_by: str | None = None
    descending: bool = True
    logos: Mapping[str, Logo] = field(default_factory=dict)
    limit: int = 1_000
    numbers: pl.DataFrame | None = None


@dataclass(frozen=True)
class Absent:
    """What a section cannot show, and why.

    Attributes
    ----------
    what
        What is absent: "training curves".
    why
        The reason, and what to do.
    """

    what: str
    why: str


Part: TypeAlias = "Plot | Table | Absent"


@dataclass(frozen=True)
class Section:
    """A section of the report, about one output.

    Attributes
    ----------
    title
        Title.
    source
        The file or folder.
    facts
        Values by name, shown above the parts.
    parts
        Plots, tables, and what is absent.
    provenance
        How the output was made, as it says itself.
    """

    title: str
    source: Path
    facts: Mapping[str, str] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)
