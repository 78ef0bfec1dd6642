"""Predict on sequences, regions or a whole genome, into a table or a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal, NamedTuple, TypedDict, Unpack, overload

import numpy as np
import polars as pl

from danq._version import __version__
from danq.device import resolve_device, resolve_precision, set_threads
from danq.errors import InputError
from danq.inference.engine.forward import BATCH_SIZE
from danq.inference.ensemble import AnyModel, Ensemble
from danq.inference.sources import Source, source_from_options
from danq.inference.sources.tiling import Rows, RowStream
from danq.inference.writers import Layout, Values, output_kind
from danq.inference.writers.deepsea_pred import check_pred, open_pred
from danq.inference.writers.open_writer import check_output, open_writer
from danq.models.run_options import RunOptions, Strand
from danq.typing import Location, Progress

BLOCK_VALUES = 1 << 22
"""Values that are handed to a writer at once: 16 MB."""

Format = Literal["danq", "deepsea"]
Stream = Iterable[tuple[Rows, Values]]


class Written(NamedTuple):
    """What was written.

    Attributes
    ----------
    path
        File, or folder of bigWig files.
    rows
        Number of rows.
    columns
        Names of the value columns.
    tracks
        Names of the tracks.
    """

    path: Path
    rows: int
    columns: tuple[str, ...]
    tracks: tuple[str, ...]

    def describe(self) -> str:
        """What was written, on one line."""
        count = len(self.tracks)
        spread = f" and {'its' if count == 1 else 'their'} spread"
        return (
            f"{self.path}: {self.rows:,} row{'s' * (self.rows != 1)}, "
            f"{count:,} track{'s' * (count != 1)}"
            f"{spread if len(self.columns) > count else ''}"
        )


class PredictOptions(TypedDict, total=False):
    """Keywords of `predict`, which says what they mean."""

    genome: Location | None
    tile: int | None
    region: str | None
    chrom_map: Location | None
    channels: str | None
    tracks: Sequence[str] | None
    strand: Strand
    batch_size: int | None
    device: str
    precision: str
    threads: int | None
    overwrite: bool
    progress: Progress | None
    format: Format


@overload
def predict(
    models: AnyModel | Sequence[AnyModel],
    input: Location,
    out: None = None,
    **options: Unpack[PredictOptions],
) -> pl.DataFrame: ...


@overload
def predict(
    models: AnyModel | Sequence[AnyModel],
    input: Location,
    out: Location,
    **options: Unpack[PredictOptions],
) -> Written: ...


def predict(
    models: AnyModel | Sequence[AnyModel],
    input: Location,
    out: Location | None = None,
    *,
    genome: Location | None = None,
    tile: int | None = None,
    region: str | None = None,
    chrom_map: Location | None = None,
    channels: str | None = None,
    tracks: Sequence[str] | None = None,
    strand: Strand = "both",
    batch_size: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    format: Format = "danq",
) -> pl.DataFrame | Written:
    """Probability of every track, for every row of an input.

    An input is one of four. **FASTA**: a record no longer than the model's window gives one row
    that spans it; a longer one gives a row for each bin. **BED with its genome**: one row a
    record. **A genome with** ``tile``: one row for each tile of that many bases, over everything
    or ``region``. **One-hot arrays** (DeepSEA's ``testxdata``, ``(n, 4, L)``, in HDF5 or a MATLAB
    file; npz): one row a sequence. In all of them the window is centred on the row's midpoint
    (it starts at ``(start + end) // 2 - window // 2``), and bases beyond the end of a sequence are
    unknown.
    Rows stream through: memory does not grow with the input, but for one FASTA record and for
    the table of a BED file.

    Parameters
    ----------
    models
        Model file, run folder or loaded model; several make an ensemble.
    input
        FASTA or BED, plain or compressed; or a file with one-hot arrays.
    out
        What to write, its kind told by its ending: ``.tsv``, ``.tsv.gz``, ``.h5`` or ``.hdf5``,
        ``.parquet``; a name without an ending (or with ``.bw``) is a folder for one bigWig a
        track. For bigWig the rows of a BED file must not overlap. None gives the table back.
    genome
        FASTA of the genome that a BED file speaks of.
    tile
        Bases of a tile, when the input is a genome.
    region
        Part of the genome to tile: ``chr:start-end`` (1-based, closed, as in samtools) or
        ``chr``. Tiles start at the region's start.
    chrom_map
        Tab-separated file: contig name in the BED file, name in the genome.
    channels
        Order of the channels of one-hot arrays, such as ``"ACGT"``; None is DeepSEA's AGCT for
        arrays with its names.
    tracks
        Names of the tracks wanted, in that order. None for all.
    strand
        ``"both"`` averages the probabilities of a window and its reverse complement;
        ``"forward"`` reads the window as it is.
    batch_size
        Windows at a time. None takes danq's own.
    device, precision
        As `danq.device.resolve_device` and `danq.device.resolve_precision` take them.
    threads
        CPU threads of torch. None leaves them as they are.
    overwrite
        Replace an output that is there.
    progress
        Called with the rows done and the rows in all (None where unknown).
    format
        ``"deepsea"`` writes what DeepSEA's and DanQ's scripts do: HDF5 with ``pred``, ``(n, K)``.

    Returns
    -------
    pl.DataFrame or Written
        Without ``out``, the table: ``chrom`` (or ``name`` for FASTA), ``start``, ``end``
        (0-based half-open), ``name`` if the BED file names its records (its score and strand are
        not kept), then one Float32 column a track, named by it; of an ensemble the
        mean, with the sample standard deviation of each track in a column ``<track>_sd``
        after all means. With ``out``, what was written.

    Raises
    ------
    InputError
        When a model or file is missing or damaged, the models disagree, a track or contig is
        unknown, a region or BED record leaves its contig, options do not go together, the
        device is not there, or the output exists, has an unknown ending or cannot be written.
    """
    size = BATCH_SIZE if batch_size is None else batch_size
    if size < 1:
        raise InputError(f"a batch of {size} windows is below 1")
    if format not in ("danq", "deepsea"):
        raise InputError(f"there is no format '{format}'", remedy="Choose danq or deepsea")
    if format == "deepsea":
        check_pred(out)
    if out is not None:
        check_output(out, overwrite=overwrite)
    source = source_from_options(
        input, genome, tile=tile, region=region, chrom_map=chrom_map, channels=channels
    )
    where = resolve_device(device)
    engine = RunOptions(str(where), resolve_precision(precision, where), strand=strand)
    ensemble = Ensemble.load(models, tracks)
    if threads is not None:
        set_threads(threads)
    bigwig = out is not None and output_kind(out) == "bigwig"
    with source.open(ensemble.window, ensemble.bin, ordered=bigwig) as rows:
        layout = _layout(ensemble, rows, source, engine)
        stream = ensemble.predict(rows.chunks(size), engine)
        with closing(stream):
            blocks = _blocks(_watched(stream, rows.total, progress), len(layout.columns))
            if out is None:
                return pl.concat([layout.frame(*block) for block in blocks])
            count = 0
            opened = (
                open_pred(out, len(layout.tracks), overwrite=overwrite)
                if format == "deepsea"
                else open_writer(out, layout, overwrite=overwrite)
            )
            with opened as writer:
                for part, values in blocks:
                    writer.write(part, values)
                    count += len(values)
            columns = layout.tracks if format == "deepsea" else layout.columns
            return Written(Path(out), count, columns, layout.tracks)


def _layout(ensemble: Ensemble, rows: RowStream, source: Source, engine: RunOptions) -> Layout:
    provenance = {
        "danq": __version__,
        **ensemble.provenance(),
        **source.provenance(),
        "window": f"{ensemble.window} bases, centred on the middle of each row",
        "strand": engine.strand,
        "precision": f"{engine.precision} on {engine.device}",
        "coordinates": "0-based, half-open",
        "values": "probabilities",
    }
    if ensemble.spread:
        provenance["values"] = (
            f"mean probabilities over {len(ensemble.models)} models, then sample standard "
            "deviations (_sd)"
        )
    return Layout(
        key=rows.key,
        tracks=ensemble.tracks,
        groups=ensemble.groups,
        spread=ensemble.spread,
        provenance=provenance,
        contigs=rows.contigs,
        labelled=rows.labelled,
    )


def _watched(stream: Stream, total: int | None, progress: Progress | None) -> Stream:
    done = 0
    for rows, values in stream:
        yield rows, values
        done += len(values)
        if progress is not None:
            progress(done, total)


def _blocks(stream: Stream, columns: int) -> Iterator[tuple[Rows, Values]]:
    """Put batches together to blocks that are worth a writer's while."""
    enough = max(1, BLOCK_VALUES // columns)
    held: list[tuple[Rows, Values]] = []
    count = 0
    for batch in stream:
        held.append(batch)
        count += len(batch[1])
        if count >= enough:
            yield _joined(held)
            held, count = [], 0
    if held:
        yield _joined(held)


def _joined(batches: list[tuple[Rows, Values]]) -> tuple[Rows, Values]:
    labels = [label for batch, _ in batches for label in batch.labels or ()]
    rows = Rows(
        [name for batch, _ in batches for name in batch.names],
        np.concatenate([batch.start for batch, _ in batches]),
        np.concatenate([batch.end for batch, _ in batches]),
        labels if batches[0][0].labels is not None else None,
    )
    return rows, np.concatenate([values for _, values in batches])
