"""PNG images of the logos of filters, each above the known motif that matches best."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from danq.genome.information_content import core, letter_heights
from danq.genome.motif_matrix import Motif
from danq.plots.sequence_logo import draw_logo
from danq.plots.style import MUTED

_WIDTH, _HEIGHT, _DPI = 3.4, 0.75, 80

Pair = tuple[Motif, tuple[Motif, int] | None]
"""Motif of a filter, and its best match or None, as in
``best`` of the table of motifs."""


def logo_pngs(pairs: Iterable[Pair]) -> Iterator[bytes]:
    """Draw the logo of each filter in bits, and below it the aligned known motif, as PNG."""
    # Creating axes takes longer than drawing a logo, so all logos share two canvases.
    figures = {rows: _figure(rows) for rows in (1, 2)}
    for motif, match in pairs:
        logos = [(motif, 0)]
        if match is not None:
            logos.append((match[0], core(motif.probabilities).start + match[1]))
        figure, panels = figures[len(logos)]
        low = min(start for _, start in logos)
        high = max(start + logo.width for logo, start in logos)
        for axes, (logo, start) in zip(panels, logos, strict=True):
            for patch in list(axes.patches):
                patch.remove()
            draw_logo(axes, letter_heights(logo.probabilities), start=start)
            axes.set(xlim=(low - 0.5, high - 0.5), ylim=(0, 2))
        out = io.BytesIO()
        figure.savefig(out, format="png", dpi=_DPI, metadata={"Software": None})
        yield out.getvalue()


def _figure(rows: int) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(_WIDTH, _HEIGHT * rows))
    panels = []
    for row in reversed(range(rows)):
        axes = figure.add_axes((0.05, (row + 0.08) / rows, 0.94, 0.84 / rows))
        axes.set(yticks=(0, 2), xticks=())
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(MUTED)
        axes.tick_params(labelsize=6, colors=MUTED, length=2)
        panels.append(axes)
    return figure, panels
