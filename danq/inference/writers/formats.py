"""Kinds of output; the ending of the name picks one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from danq.errors import InputError

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
    kind = kind_by_ending(path.name)
    if kind is not None:
        return kind
    if not path.suffix and not path.name.startswith("."):
        return "bigwig"
    raise InputError(
        f"the ending of '{path.name}' names no kind of output",
        file=out,
        remedy=f"Use {', '.join(list(_ENDINGS)[:5])}, or a name without an ending for a folder "
        "of bigWig files",
    )


def kind_by_ending(name: str) -> Kind | None:
    """Kind of output that the ending of a name asks for; None where it asks for none."""
    for ending, kind in _ENDINGS.items():
        if name.lower().endswith(ending) and len(name) > len(ending):
            return kind
    return None
