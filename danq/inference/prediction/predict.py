"""Predict on sequences, regions or a whole genome, into memory or a file."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from danq._version import __version__
from danq.amounts import describe_units
from danq.errors import InputError
from danq.files.inputs_in_use import protects_inputs
from danq.files.unchanged_inputs import UnchangedInputs
from danq.inference.blocks import Shard
from danq.inference.ensemble import Ensemble, Models
from danq.inference.prediction.row_blocks import joined, rows_per_write
from danq.inference.prediction.shards import KIND, write_shard
from danq.inference.prediction.written_predictions import (
    WrittenPredictions,
    stored_columns,
    write_rows,
)
from danq.inference.result import Result
from danq.inference.shard_run import ShardRun, check_shard, shard_provenance
from danq.inference.sources import Source, as_source
from danq.inference.sources.tiling import Rows, RowStream
from danq.inference.writers.hdf5_storage import Hdf5Storage
from danq.inference.writers.layout import PredictionLayout, TrackProfile, Values
from danq.inference.writers.open_output import Output, find_output
from danq.inference.writers.prediction_bigwig import check_covered
from danq.progress import stage
from danq.provenance import Provenance
from danq.typing import Location


def predict(
    model: Models,
    source: Any,
    *,
    tracks: Sequence[str] | None = None,
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
        size = rows_per_write(len(layout.columns), ensemble.options.windows_per_batch)
        with closing(_stream(ensemble, opened)) as stream:
            blocks = list(joined(stream, size))
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
    resume: bool = False,
    shard: Shard | None = None,
) -> WrittenPredictions:
    """Write predictions to a file.

    As `danq.predict`, but rows stream through: memory does not grow with the source, except for
    one FASTA record and the table of a BED file. Of tracks with profiles, HDF5 files have the
    totals and the steps, bigWig files the steps, cut at the ends of the rows, and tables the
    totals.

    Parameters
    ----------
    model, source, tracks
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
        Replace an existing output, and discard the stored rows of the shard.
    resume
        Continue a shard that was interrupted, with the same inputs and settings.
    shard
        Compute one of several parts of the rows, `danq.Shard`, and store it in the directory
        ``<out>.shard-i-of-n``. `danq.merge` writes the output once all parts are complete. None
        computes and writes all rows.

    Raises
    ------
    InputError
        As `danq.predict`; when the output exists, has an unknown extension or cannot be written,
        ``storage`` is set for another format than ``hdf5``, or amounts were to be written in the
        format ``deepsea`` or as float16; when the stored rows of the shard are of other inputs or
        settings, or ``resume`` is set without a shard; when an input of a shard is a pipe.
    """
    source = as_source(source)
    output = find_output(out, PredictionLayout, format)
    storage = storage or Hdf5Storage()
    storage.check_format(output.format)
    check_shard(output, source, shard, resume=resume, overwrite=overwrite)
    unchanged = UnchangedInputs.of(source.files().values())
    ensemble = Ensemble.of(model, tracks)
    _check_amounts(ensemble, output.format, storage)
    ordered, device = output.writer.ordered, ensemble.options.torch_device
    profiles = ensemble.profiles if output.writer.profiles else ()
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
        output.writer.check_layout(layout)
        if output.format == "bigwig" and opened.longest is not None:
            check_covered(profiles, opened.longest)
        if shard is not None:
            run = ShardRun(
                output.path,
                KIND,
                shard,
                _identity(ensemble, source, output, storage),
                unchanged,
                resume,
                overwrite,
            )
            return write_shard(run, ensemble, opened, layout, output.format)
        size = rows_per_write(stored_columns(layout), ensemble.options.windows_per_batch)
        with closing(_stream(ensemble, opened, steps=bool(profiles))) as stream:
            return write_rows(stream, output, layout, size, overwrite=overwrite)


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


def _identity(
    ensemble: Ensemble, source: Source, output: Output, storage: Hdf5Storage
) -> Provenance:
    stored = {"HDF5": f"{storage.compress}, {storage.dtype}"} if output.format == "hdf5" else {}
    settings = {"format": output.format, **stored, **ensemble.batches()}
    return shard_provenance(ensemble, source, settings)


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


def _describe(profiles: Sequence[TrackProfile], ensemble: Ensemble) -> dict[str, str]:
    """Steps of the profiles, as text for the header of an output."""
    texts = [
        f"{ensemble.tracks[one.column]}: {one.steps} steps of {one.bases} bases" for one in profiles
    ]
    return {"profiles": "; ".join(texts)} if texts else {}


def _stream(
    ensemble: Ensemble, source: RowStream, *, steps: bool = False
) -> Generator[tuple[Rows, Values], None, None]:
    with (
        stage("predicting", "rows", source.total) as now,
        closing(ensemble.predict(source, steps=steps)) as stream,
    ):
        for rows, values in stream:
            yield rows, values
            now.reach(now.done + len(values), source.total)
