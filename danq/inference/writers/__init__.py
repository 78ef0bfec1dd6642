"""Outputs of predictions; the ending of the name picks the kind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from danq.errors import InputError
from danq.inference.writers.bigwig import BigWigWriter, objection
from danq.inference.writers.hdf5 import Hdf5Writer
from danq.inference.writers.layout import SPREAD, Layout, Values, Writer
from danq.inference.writers.parquet import ParquetWriter
from danq.inference.writers.tsv import TsvWriter
from danq.output import check_folder, check_target, replacing, replacing_folder

Kind = Literal["tsv", "tsv.gz", "hdf5", "parquet", "bigwig"]

_ENDINGS: dict[str, Kind] = {
    ".tsv": "tsv",
    ".tsv.gz": "tsv.gz",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".parquet": "parquet",
    ".bw": "bigwig",
    ".bigwig": "bigwig",
}


def output_kind(out: str | Path) -> Kind:
    """Kind of output that a name asks for.

    Parameters
    ----------
    out
        ``.tsv``, ``.tsv.gz``, ``.h5`` or ``.hdf5``, ``.parquet``; or the name of a folder for
        bigWig files: without an ending, with ``.bw`` or ``.bigwig``, with a slash at the end,
        or of a folder that is there.

    Raises
    ------
    InputError
        When the ending is none of these.
    """
    text = str(out)
    path = Path(out)
    if text.endswith(("/", os.sep)) or path.is_dir():
        return "bigwig"
    for ending, kind in _ENDINGS.items():
        if path.name.lower().endswith(ending) and len(path.name) > len(ending):
            return kind
    if not path.suffix and not path.name.startswith("."):
        return "bigwig"
    raise InputError(
        f"the ending of '{path.name}' names no kind of output",
        file=out,
        remedy=f"Use {', '.join(list(_ENDINGS)[:5])}, or a name without an ending for a folder "
        "of bigWig files",
    )


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
        As :func:`output_kind` takes it.
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


__all__ = [
    "SPREAD",
    "Kind",
    "Layout",
    "Values",
    "Writer",
    "check_output",
    "open_writer",
    "output_kind",
]
