"""Leave out the bins of regions that BED files list."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from danq.datasets.bin_grid import Grid, drop_overlapping
from danq.datasets.peak_labels import IntervalReader, by_contig

log = logging.getLogger("danq")


def exclude_files(
    grid: Grid,
    paths: Sequence[Path],
    genome: Mapping[str, int],
    chrom_map: Mapping[str, str] | None,
) -> None:
    """Drop the bins that share a base with a region of a file, and warn of regions cut short.

    Parameters
    ----------
    grid
        Bins of the contigs that are used.
    paths
        BED files.
    genome
        Length of each contig of the genome, by name.
    chrom_map
        Contig names in the files to names in the genome.

    Raises
    ------
    InputError
        When a file cannot be read, or none of its contigs is in the genome.
    """
    for path in paths:
        reader = IntervalReader()
        intervals = reader.read(path, peaks=False)
        contig_of = reader.match(genome, source=str(path), chrom_map=chrom_map)
        beyond = 0
        for contig, start, end in by_contig(intervals, contig_of, list(genome)):
            beyond += int(np.count_nonzero(end > genome[contig]))
            if contig in grid.contigs:
                drop_overlapping(grid, contig, start, end)
        if beyond:
            log.warning(
                "%s: %s of %s excluded regions extend past the end of their contig; check that the "
                "file is of the same assembly",
                path,
                f"{beyond:,}",
                f"{len(intervals.start):,}",
            )
