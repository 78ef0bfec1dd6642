"""PNG images of the logos of contributions, each above the base frequencies and a known motif."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from danq.genome.information_content import core, letter_heights
from danq.genome.motif_matrix import Motif
from danq.plots.filter_logo_images import BITS, LogoCanvas
from danq.typing import Matrix

Triple = tuple[Matrix, Motif, tuple[Motif, int] | None]
"""Contributions of a motif at each position, its base frequencies, and its best match or None, as
in `danq.plots.filter_logo_images.logo_pngs`."""


def contribution_logo_pngs(motifs: Iterable[Triple]) -> Iterator[bytes]:
    """Draw the contributions, the base frequencies in bits and the known motif, as PNG."""
    canvases = {rows: LogoCanvas(rows) for rows in (2, 3)}
    for contributions, motif, match in motifs:
        logos = [(contributions, 0), (letter_heights(motif.probabilities), 0)]
        if match is not None:
            start = core(motif.probabilities).start + match[1]
            logos.append((letter_heights(match[0].probabilities), start))
        limits = [None, *([BITS] * (len(logos) - 1))]
        yield canvases[len(logos)].png(logos, limits)
