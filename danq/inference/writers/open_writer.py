"""Open the output of predictions, of the kind that its name asks for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from danq.errors import InputError
from danq.inference.writers import (
    Hdf5Writer,
    Kind,
    Layout,
    ParquetWriter,
    TsvWriter,
    Writer,
    output_kind,
)
from danq.inference.writers.bigwig import BigWigWriter, objection
from danq.inference.writers.deepsea_pred import PredWriter, check_pred, open_pred
from danq.output import check_folder, check_target, replacing, replacing_folder


def check_output(
    out: str | Path, format: str | None = None, *, overwrite: bool = False
) -> Kind | Literal["deepsea"]:
    """Check that an output can be written, before any work is done, and select its format.

    Parameters
    ----------
    out
        As `danq.inference.writers.output_kind` takes it.
    format
        ``"deepsea"`` for the HDF5 files of DeepSEA's and DanQ's scripts; None follows the
        extension.
    overwrite
        Whether an existing output may be replaced.

    Raises
    ------
    InputError
        When the extension or format is unknown, something exists and ``overwrite`` is false, the
        directory around it is missing or not writable, or a directory to be replaced holds files
        that danq did not write.
    """
    path = Path(out)
    if format == "deepsea":
        check_pred(out)
        check_target(path, overwrite)
        return "deepsea"
    if format is not None:
        raise InputError(f"format is '{format}'", remedy="Choose 'deepsea', or omit it")
    kind = output_kind(out)
    if kind == "bigwig":
        check_folder(path, overwrite, objection=objection)
    else:
        check_target(path, overwrite)
    return kind


@contextmanager
def open_writer(
    out: str | Path, kind: Kind | Literal["deepsea"], layout: Layout, *, overwrite: bool = False
) -> Iterator[Writer | PredWriter]:
    """Writer for an output that appears only when it is complete.

    Parameters
    ----------
    out
        Output path.
    kind
        Format, as `check_output` returns it.
    layout
        Columns and provenance.
    overwrite
        Replace an existing output.

    Raises
    ------
    InputError
        As `check_output` and the writers; when the operating system cannot write, for example on
        a full disk.
    """
    if kind == "deepsea":
        with open_pred(out, len(layout.tracks), overwrite=overwrite) as writer:
            yield writer
        return
    target = (
        replacing_folder(out, overwrite, objection=objection)
        if kind == "bigwig"
        else replacing(out, overwrite)
    )
    with target as temporary, _make(kind, temporary, layout) as writer:
        yield writer


def _make(kind: Kind, path: Path, layout: Layout) -> Writer:
    if kind == "hdf5":
        return Hdf5Writer(path, layout)
    if kind == "parquet":
        return ParquetWriter(path, layout)
    if kind == "bigwig":
        return BigWigWriter(path, layout)
    return TsvWriter(path, layout, zipped=kind == "tsv.gz")
