"""Contributions of bases as a directory of bigWig files, one for each track."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from danq.errors import InputError
from danq.genome.nucleotide_codes import N
from danq.inference.sources.tiling import Rows
from danq.inference.writers.attribution_layout import AttributionLayout, WindowAttributions
from danq.inference.writers.layout import Layout, PredictionLayout
from danq.inference.writers.prediction_bigwig import BigWigWriter, file_names


class AttributionBigWig(BigWigWriter):
    """As `BigWigWriter`, with a value for each known base.

    Parameters
    ----------
    path
        Directory to fill.
    layout
        Tracks and contigs.

    Raises
    ------
    InputError
        As `check_layout`.
    """

    kind = "bigWig attribution"
    profiles = False

    def __init__(self, path: Path, layout: AttributionLayout) -> None:
        self.check_layout(layout)
        predictions = PredictionLayout(
            key=layout.key,
            tracks=layout.tracks,
            groups=layout.groups,
            provenance=layout.provenance,
            contigs=layout.contigs,
        )
        super().__init__(path, predictions)

    @classmethod
    def check_layout(cls, layout: Layout) -> None:
        """Check that the attributions can be written.

        Raises
        ------
        InputError
            When the sequences are not on a genome, or as `file_names`.
        """
        contigs = getattr(layout, "contigs", None)
        if contigs is None:
            raise InputError(
                "bigWig output needs positions on a genome, which standalone sequences do not have",
                remedy="Give regions of a genome, or choose an output that ends with .h5, .tsv or "
                ".parquet",
            )
        file_names(layout.columns)

    def write(self, block: WindowAttributions) -> None:  # type: ignore[override]
        """Append the known bases of a window."""
        known = np.flatnonzero(block.codes != N)
        start = block.positions[known]
        rows = Rows([block.window.target.name] * len(known), start, start + 1)
        super().write(rows, block.attributions[known])
