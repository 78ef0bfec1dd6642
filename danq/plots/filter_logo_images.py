"""PNG images of the logos of filters, each above the known motif that matches best."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from danq.genome.information_content import core, letter_heights
from danq.genome.motif_matrix import Motif
from danq.plots.sequence_logo import draw_logo
from danq.plots.style import MUTED

_WIDTH, _HEIGHT, _DPI = 3.4, 0.75, 80
BITS = (0, 2)
"""Limits of the vertical axis of a logo in bits."""

Pair = tuple[Motif, tuple[Motif, int] | None]
"""Motif of a filter, and its best match or None, as in
``best`` of the table of motifs."""


def logo_pngs(pairs: Iterable[Pair]) -> Iterator[bytes]:
    """Draw the logo of each filter in bits, and below it the aligned known motif, as PNG."""
    # Creating axes takes longer than drawing a logo, so all logos share two canvases.
    canvases = {rows: LogoCanvas(rows) for rows in (1, 2)}
    for motif, match in pairs:
        logos = [(letter_heights(motif.probabilities), 0)]
        if match is not None:
            start = core(motif.probabilities).start + match[1]
            logos.append((letter_heights(match[0].probabilities), start))
        yield canvases[len(logos)].png(logos, [BITS] * len(logos))


class LogoCanvas:
    """Logos below each other, with one axis of positions.

    Parameters
    ----------
    rows
        Number of logos.
    """

    def __init__(self, rows: int) -> None:
        self._figure = Figure(figsize=(_WIDTH, _HEIGHT * rows))
        self._panels: list[Axes] = []
        for row in reversed(range(rows)):
            axes = self._figure.add_axes((0.05, (row + 0.08) / rows, 0.94, 0.84 / rows))
            axes.set(xticks=())
            axes.spines[["top", "right"]].set_visible(False)
            axes.spines[["left", "bottom"]].set_color(MUTED)
            axes.tick_params(labelsize=6, colors=MUTED, length=2)
            self._panels.append(axes)

    def png(
        self,
        logos: Sequence[tuple[Float[np.ndarray, "L 4"], int]],
        limits: Sequence[tuple[float, float] | None],
    ) -> bytes:
        """Draw logos.

        Parameters
        ----------
        logos
            Letter heights of each logo, and the position at which it starts.
        limits
            Limits of the vertical axis of each logo; None: those of its letters.
        """
        low = min(start for _, start in logos)
        high = max(start + len(heights) for heights, start in logos)
        for axes, (heights, start), limit in zip(self._panels, logos, limits, strict=True):
            for patch in list(axes.patches):
                patch.remove()
            draw_logo(axes, heights, start=start)
            bottom, top = limit or axes.get_ylim()
            axes.set(xlim=(low - 0.5, high - 0.5), ylim=(bottom, top))
            axes.set_yticks(limit or [0.0])
        out = io.BytesIO()
        self._figure.savefig(out, format="png", dpi=_DPI, metadata={"Software": None})
        return out.getvalue()
