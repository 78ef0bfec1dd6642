"""Logos of filters, each over the known motif that it resembles most."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from danq.genome.motif_matrix import Motif
from danq.interpretation.motifs.information_content import core, letter_heights
from danq.interpretation.sequence_logo import draw_logo

_WIDTH, _HEIGHT, _DPI = 3.4, 0.75, 80
_MUTED = "#777777"

Pair = tuple[Motif, tuple[Motif, int] | None]
"""All taps of a filter; the known motif on the strand that matches, and the position of the
filter's core at which it begins, or None."""


def logo_pngs(pairs: Iterable[Pair]) -> Iterator[bytes]:
    """Draw each filter's logo in bits as PNG, and below it the known motif as it lies."""
    # Axes cost more than what is drawn on them, so all logos of one kind share theirs.
    kept = {rows: _figure(rows) for rows in (1, 2)}
    for motif, match in pairs:
        shown = [(motif, 0)]
        if match is not None:
            shown.append((match[0], core(motif.probabilities).start + match[1]))
        figure, panels = kept[len(shown)]
        low = min(start for _, start in shown)
        high = max(start + one.width for one, start in shown)
        for axes, (logo, start) in zip(panels, shown, strict=True):
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
    for number in reversed(range(rows)):
        axes = figure.add_axes((0.05, (number + 0.08) / rows, 0.94, 0.84 / rows))
        axes.set(yticks=(0, 2), xticks=())
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(_MUTED)
        axes.tick_params(labelsize=6, colors=_MUTED, length=2)
        panels.append(axes)
    return figure, panels
