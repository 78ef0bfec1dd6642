"""Predict on sequences, regions or a whole genome, into memory or a file."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from danq._version import __version__
from danq.amounts import describe_units
from danq.bounded_queue import write_behind
from danq.errors import InputError
from danq.files.inputs_in_use import protects_inputs
from danq.inference.ensemble import Ensemble, Models
from danq.inference.result import Result
from danq.inference.sources import Source, Tiles, as_source
from danq.inference.sources.tiling import Rows, RowStream
from danq.inference.writers.hdf5_storage import Hdf5Storage
from danq.inference.writers.layout import PredictionLayout, TrackProfile, Values
from danq.inference.writers.open_output import find_output
from danq.inference.writers.prediction_bigwig import check_covered
from danq.output import name_of_output
from danq.typing import Location, Progress

BLOCK_VALUES = 1 << 22
"""Maximum number of values per write: 16 MB."""

BLOCK_ROWS = 1 << 16
"""Maximum number of rows per write: their names and positions take more than the values of a few
tracks."""

Stream = Iterable[tuple[Rows, Values]]


class WrittenPredictions(NamedTuple):
    """Predictions in a file.

    Attributes
    ----------
    path
        File, or directory of bigWig files.
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
        """Path, rows and tracks on one line."""
        count = len(self.tracks)
        spread = " and standard deviations" if len(self.columns) > count else ""
        return (
            f"{name_of_output(self.path)}: {self.rows:,} row{'s' * (self.rows != 1)}, "
            f"{count:,} track{'s' * (count != 1)}{spread}"
        )


def predict(
    model: Models,
    source: Any,
    *,
    tracks: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> Result:
    """Predict the probability of a peak, or the amount, for every track and row of a source.

    Each row is a region of a sequence. The window is centred on it: it starts at
    ``(start + end) // 2 - window // 2``. Bases beyond the end of a sequence are N. A sequence no
    longer than the model's window is one row; a longer one has one row per bin.

    Parameters
    ----------
    model
        A loaded model; for several, the mean is reported, with the sample standard deviation of
        each track in a column ``<track>_sd``.
    source
        Sequences in memory: a ``str`` (always a sequence, never a file), a list of them, a dict
        of name to sequence, a data frame of polars or pandas with a column ``sequence``, integer
        codes ``(B, L)``, or one-hot ``(B, 4, L)`` (numpy or torch, channels A, C, G, T). Files: a
        ``Path`` of FASTA or one-hot arrays, `danq.Regions` for a BED file or regions of a genome,
        `danq.Tiles` for a whole genome, `danq.OneHotFile` for arrays with another channel order.
    tracks
        Names of the selected tracks, in that order. None selects all.
    progress
        Called with the number of rows done and the total (None if unknown).

    Returns
    -------
    Result
        ``values`` are probabilities or amounts ``(N, C)``, totals of profiles; ``rows`` has
        ``chrom`` (or ``name``), ``start``, ``end`` (0-based, half-open), and ``name`` for a BED
        file with names.

    Raises
    ------
    InputError
        When a sequence has letters outside the IUPAC codes, a file is missing or damaged, the
        models disagree, a track or contig is unknown, or a region extends past its contig.

    Examples
    --------
    >>> model = danq.load("runs/yeast")  # doctest: +SKIP
    >>> danq.predict(model, {"a": "ACGT" * 125}).to_polars()  # doctest: +SKIP
    """
    source = as_source(source)
    ensemble = Ensemble.of(model, tracks)
    with source.open(ensemble.window, ensemble.bin, device=ensemble.options.torch_device) as opened:
        layout = _layout(ensemble, opened, source)
        with closing(_stream(ensemble, opened, progress)) as stream:
            blocks = list(_blocks(stream, len(layout.columns)))
    rows = [layout.keys(rows) for rows, _ in blocks]
    values = [np.empty((0, len(layout.columns)), np.float32), *(values for _, values in blocks)]
    return Result(
        values=np.concatenate(values),
        columns=layout.columns,
        tracks=layout.tracks,
        rows=pl.concat([layout.keys(), *rows]),
        provenance=layout.provenance,
    )


@protects_inputs
def write_predictions(
    model: Models,
    source: Any,
    out: Location,
    *,
    tracks: Sequence[str] | None = None,
    format: str | None = None,
    storage: Hdf5Storage | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> WrittenPredictions:
    """Write predictions to a file.

    As `danq.predict`, but rows stream through: memory does not grow with the source, except for
    one FASTA record and the table of a BED file. Of tracks with profiles, HDF5 files have the
    totals and the steps, bigWig files the steps, cut at the ends of the rows, and tables the
    totals.

    Parameters
    ----------
    model, source, tracks, progress
        As for `danq.predict`.
    out
        Output. Its extension selects the format: ``.tsv``, ``.tsv.gz``, ``.h5`` or ``.hdf5``,
        ``.parquet``; a name without extension (or with ``.bw``) is a directory with one bigWig
        per track. For bigWig, rows must be on a genome and must not overlap, and those of tracks
        with profiles must not be longer than the profile.
    format
        ``tsv``, ``hdf5``, ``parquet`` or ``bigwig`` overrides the extension; ``deepsea`` writes the
        format of DeepSEA's and DanQ's scripts, HDF5 with ``pred``, ``(n, K)``.
    storage
        How an HDF5 file stores the values: compression, float32 or float16. None: not
        compressed, float32.
    overwrite
        Replace an existing output.

    Raises
    ------
    InputError
        As `danq.predict`; when the output exists, has an unknown extension or cannot be written,
        ``storage`` is set for another format than ``hdf5``, or amounts were to be written in the
        format ``deepsea`` or as float16.
    """
    source = as_source(source)
    output = find_output(out, PredictionLayout, format)
    storage = storage or Hdf5Storage()
    storage.check_format(output.format)
    output.check(overwrite=overwrite)
    ensemble = Ensemble.of(model, tracks)
    _check_amounts(ensemble, output.format, storage)
    ordered, device = output.writer.ordered, ensemble.options.torch_device
    profiles = ensemble.profiles if output.writer.profiles else ()
    if output.format == "bigwig" and isinstance(source, Tiles):
        check_covered(profiles, source.size)
    with source.open(ensemble.window, ensemble.bin, ordered=ordered, device=device) as opened:
        layout = _layout(ensemble, opened, source)
        provenance = {**layout.provenance, **storage.provenance(), **_describe(profiles, ensemble)}
        layout = replace(
            layout,
            provenance=provenance,
            storage=storage,
            total=opened.total,
            profiles=profiles,
        )
        count = 0
        with (
            closing(_stream(ensemble, opened, progress, steps=bool(profiles))) as stream,
            output.open(layout, overwrite=overwrite) as writer,
            write_behind(writer.write) as write,
        ):
            tracks_and_steps = len(layout.tracks) + layout.steps
            for rows, values in _blocks(stream, tracks_and_steps * (1 + layout.spread)):
                write(rows, *_parts(values, layout))
                count += len(values)
    columns = layout.tracks if output.format == "deepsea" else layout.columns
    return WrittenPredictions(output.path, count, columns, layout.tracks)


def _layout(ensemble: Ensemble, opened: RowStream, source: Source) -> PredictionLayout:
    ensemble.check_measured()
    provenance = {
        "danq": __version__,
        **ensemble.provenance(),
        **source.provenance(),
        "window": f"{ensemble.window} bases, centred on the middle of each row",
        **ensemble.running(),
        **ensemble.batches(),
        "coordinates": "0-based, half-open",
        "values": _quantity(ensemble),
    }
    if ensemble.spread:
        provenance["values"] = (
            f"mean {provenance['values']} over {len(ensemble.models)} models, then sample standard "
            "deviations (_sd)"
        )
    if "amounts" in ensemble.kinds:
        provenance["units"] = describe_units(ensemble.tracks, ensemble.units)
    return PredictionLayout(
        key=opened.key,
        tracks=ensemble.tracks,
        groups=ensemble.groups,
        spread=ensemble.spread,
        provenance=provenance,
        contigs=opened.contigs,
        labelled=opened.labelled,
    )


def _quantity(ensemble: Ensemble) -> str:
    kinds = set(ensemble.kinds)
    if kinds == {"peaks"}:
        return "probabilities"
    return "amounts" if kinds == {"amounts"} else "probabilities of peaks and amounts"


def _check_amounts(ensemble: Ensemble, format: str, storage: Hdf5Storage) -> None:
    if "amounts" not in ensemble.kinds:
        return
    if format == "deepsea":
        raise InputError(
            "the format deepsea holds probabilities and has no place for the units of amounts",
            remedy="Choose another format, or select tracks of peaks",
        )
    if storage.dtype == "float16":
        raise InputError(
            "amounts may exceed 65504, the largest number of float16",
            remedy="Use float32, or select tracks of peaks",
        )


def _parts(values: Values, layout: PredictionLayout) -> Iterator[Values]:
    """Columns of the tracks, then those of the steps of profiles if there are any."""
    if not layout.profiles:
        yield values
        return
    tracks = len(layout.tracks)
    each = [values] if not layout.spread else np.split(values, 2, axis=1)
    yield np.concatenate([one[:, :tracks] for one in each], axis=1)
    yield np.concatenate([one[:, tracks:] for one in each], axis=1)


def _describe(profiles: Sequence[TrackProfile], ensemble: Ensemble) -> dict[str, str]:
    """Steps of the profiles, as text for the header of an output."""
    texts = [
        f"{ensemble.tracks[one.column]}: {one.steps} steps of {one.bases} bases" for one in profiles
    ]
    return {"profiles": "; ".join(texts)} if texts else {}


def _stream(
    ensemble: Ensemble, source: RowStream, progress: Progress | None, *, steps: bool = False
) -> Generator[tuple[Rows, Values], None, None]:
    done = 0
    with closing(ensemble.predict(source, steps=steps)) as stream:
        for rows, values in stream:
            yield rows, values
            done += len(values)
            if progress is not None:
                progress(done, source.total)


def _blocks(stream: Stream, columns: int) -> Iterator[tuple[Rows, Values]]:
    """Join batches into blocks, which writers store efficiently."""
    enough = max(1, min(BLOCK_ROWS, BLOCK_VALUES // columns))
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
