"""Predictions to a file against the model alone, and the speed of each writer.

danq-small with 64 tracks predicts tiles of the yeast genome on both strands. The model alone is
`predict_codes` on the same windows, which are ready. Writers get blocks of values that are ready;
their speed is that of the values in float32.

DANQ_SHARED_DATA gives the folder of the data; without it the comparison is skipped.
"""

from __future__ import annotations

import gzip
import shutil
import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np

from benchmarks.harness.chunk_codes import codes_of
from benchmarks.harness.shared_data import YEAST
from benchmarks.harness.timing import Measurement, summarise, time_alternately
from benchmarks.harness.yeast_data import TRACKS
from danq.inference import Tiles, predict_codes, write_predictions
from danq.inference.sources.tiling import Rows
from danq.inference.writers.hdf5_storage import Hdf5Storage
from danq.inference.writers.layout import PredictionLayout
from danq.inference.writers.open_output import find_output
from danq.models import Model, architecture, untrained

CONTIG, TILE, WINDOW = "chrIV", 200, 500
OUTPUTS = {"HDF5": "out.h5", "bigWig": "out.bw"}
WRITERS = {
    "TSV": ("out.tsv", Hdf5Storage()),
    "TSV, gzip": ("out.tsv.gz", Hdf5Storage()),
    "Parquet": ("out.parquet", Hdf5Storage()),
    "HDF5": ("out.h5", Hdf5Storage()),
    "HDF5, float16": ("out.h5", Hdf5Storage(dtype="float16")),
    "HDF5, gzip": ("out.h5", Hdf5Storage("gzip")),
    "bigWig": ("out.bw", Hdf5Storage()),
}
WRITER_REPEATS = 3


def measure(*, quick: bool = False, repeats: int = 10) -> list[Measurement]:
    """Ratios of times in each repeat, and MB/s of each writer."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return [
            *measure_commands(folder, 16 if quick else 1024, repeats),
            *measure_writers(folder, 100 if quick else 20_000),
        ]


def measure_commands(folder: Path, windows: int, repeats: int) -> list[Measurement]:
    """Time of `write_predictions`, divided by that of the model alone."""
    metrics = {name: f"predict to {name}, time of the model alone" for name in OUTPUTS}
    if not YEAST.is_dir():
        note = "skipped: DANQ_SHARED_DATA names no folder with yeast data"
        return [Measurement(metric, note=note) for metric in metrics.values()]
    genome = folder / "genome.fa"
    genome.write_bytes(gzip.decompress((YEAST / "genome/sacCer3.fa.gz").read_bytes()))
    tiles = Tiles(genome, TILE, f"{CONTIG}:1-{windows * TILE}")
    model = small_model()
    with tiles.open(WINDOW, TILE) as rows:
        codes = np.concatenate([codes_of(chunk) for chunk in rows.chunks(windows)])
    number = count()

    def write(file: str) -> None:
        out = folder / f"{next(number)}{file}"
        write_predictions(model, tiles, out)
        shutil.rmtree(out) if out.is_dir() else out.unlink()

    calls: dict[str, Callable[[], object]] = {
        "model": lambda: predict_codes(model.module, codes, model.options),
        **{name: lambda file=file: write(file) for name, file in OUTPUTS.items()},
    }
    seconds = time_alternately(calls, repeats)
    rows = []
    for name, metric in metrics.items():
        ratios = [a / b for a, b in zip(seconds[name], seconds["model"], strict=True)]
        row = summarise(metric, ratios, "x", target=1.1, at_most=True)
        row.details = {"windows": windows, "seconds": seconds}
        rows.append(row)
    return rows


def small_model() -> Model:
    """danq-small with the tracks and the window of the yeast data set."""
    tracks = tuple(f"track {number}" for number in range(TRACKS))
    model = untrained("danq-small", architecture("danq-small"), tracks, WINDOW, TILE)
    return model.with_options(device="cpu")


def measure_writers(folder: Path, rows: int) -> list[Measurement]:
    """Megabytes of float32 values per second, of each writer."""
    values = np.random.default_rng(0).random((rows, TRACKS), np.float32) ** 9
    start = np.arange(rows, dtype=np.int64) * TILE
    block = max(1, rows // 4)
    parts = [slice(low, low + block) for low in range(0, rows, block)]
    layout = {
        "key": "chrom",
        "tracks": tuple(f"track {number}" for number in range(TRACKS)),
        "groups": ("",) * TRACKS,
        "contigs": {CONTIG: rows * TILE},
        "total": rows,
    }

    def write(file: str, storage: Hdf5Storage) -> None:
        out = find_output(folder / file, PredictionLayout)
        with out.open(PredictionLayout(**layout, storage=storage), overwrite=True) as writer:
            for part in parts:
                names = [CONTIG] * len(start[part])
                writer.write(Rows(names, start[part], start[part] + TILE), values[part])

    calls = {
        name: lambda file=file, storage=storage: write(file, storage)
        for name, (file, storage) in WRITERS.items()
    }
    seconds = time_alternately(calls, WRITER_REPEATS)
    return [
        summarise(f"writing {name}", [values.nbytes / 1e6 / one for one in each], "MB/s")
        for name, each in seconds.items()
    ]
