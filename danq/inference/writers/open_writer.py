"""Open the output of predictions, of the kind that its name asks for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
from danq.output import check_folder, check_target, replacing, replacing_folder


def check_output(out: str | Path, *, overwrite: bool = False) -> Path:
    """Refuse an output that may not or cannot be written, before any work is done.

    Raises
    ------
    InputError
        When the ending names no kind, something is there and ``overwrite`` is false, the
        folder around it is missing or not writable, or a folder to be replaced holds files
        that danq did not write.
    """
    path = Path(out)
    if output_kind(out) == "bigwig":
        return check_folder(path, overwrite, objection=objection)
    return check_target(path, overwrite)


@contextmanager
def open_writer(out: str | Path, layout: Layout, *, overwrite: bool = False) -> Iterator[Writer]:
    """Writer for an output that appears whole when the block ends well, or else not at all.

    Parameters
    ----------
    out
        As `danq.inference.writers.output_kind` takes it.
    layout
        Columns and provenance.
    overwrite
        Replace an output that is there.

    Raises
    ------
    InputError
        As :func:`check_output` and the writers; when the system refuses to write, as on a full
        disk.
    """
    kind = output_kind(out)
    place = (
        replacing_folder(out, overwrite, objection=objection)
        if kind == "bigwig"
        else replacing(out, overwrite)
    )
    with place as temporary, _make(kind, temporary, layout) as writer:
        yield writer


def _make(kind: Kind, path: Path, layout: Layout) -> Writer:
    if kind == "hdf5":
        return Hdf5Writer(path, layout)
    if kind == "parquet":
        return ParquetWriter(path, layout)
    if kind == "bigwig":
        return BigWigWriter(path, layout)
    return TsvWriter(path, layout, zipped=kind == "tsv.gz")
