"""Bytes per value of each format of predictions.

    python -m benchmarks.studies.output_sizes [--out FILE.json]

The writers get ready values of 919 tracks for tiles of 100 bases. Like predictions, most values are
small, and their last digits are not predictable.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.harness.arguments import make_parser
from benchmarks.harness.report import markdown_table, write_json
from danq.inference.sources.tiling import Rows
from danq.inference.writers.hdf5_storage import Hdf5Storage
from danq.inference.writers.layout import PredictionLayout
from danq.inference.writers.open_output import find_output

TILE, CONTIG = 100, "chr1"
FORMATS = {
    "TSV": ("out.tsv", Hdf5Storage()),
    "TSV, bgzip": ("out.tsv.gz", Hdf5Storage()),
    "Parquet": ("out.parquet", Hdf5Storage()),
    "HDF5": ("out.h5", Hdf5Storage()),
    "HDF5, float16": ("half.h5", Hdf5Storage(dtype="float16")),
    "bigWig": ("out", Hdf5Storage()),
}


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = path.iterdir() if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)


def measure(rows: int, tracks: int) -> dict[str, float]:
    """Bytes per value of each format."""
    values = np.random.default_rng(0).random((rows, tracks), np.float32) ** 9
    start = np.arange(rows, dtype=np.int64) * TILE
    sizes = {}
    with tempfile.TemporaryDirectory() as name:
        for format, (file, storage) in FORMATS.items():
            layout = PredictionLayout(
                key="chrom",
                tracks=tuple(f"track{number}" for number in range(tracks)),
                groups=("",) * tracks,
                contigs={CONTIG: rows * TILE},
                total=rows,
                storage=storage,
            )
            out = find_output(Path(name) / file, PredictionLayout)
            with out.open(layout) as writer:
                writer.write(Rows([CONTIG] * rows, start, start + TILE), values)
            sizes[format] = size_of(out.path) / values.size
    return sizes


def main(words: Sequence[str] | None = None) -> None:
    """Measure each format, print a table and write the JSON file."""
    args = make_parser(__doc__, "quick", "out").parse_args(words)
    sizes = measure(64, 3) if args.quick else measure(8192, 919)
    cells = [[format, f"{size:.2f}"] for format, size in sizes.items()]
    print(markdown_table(["format", "bytes per value"], cells))
    write_json(args.out, {"bytes_per_value": sizes, "quick": args.quick})


if __name__ == "__main__":
    main()
