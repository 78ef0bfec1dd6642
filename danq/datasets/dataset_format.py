"""The dataset file: its names, dtypes and version, and the check that a file is one."""

from __future__ import annotations

from pathlib import Path

import h5py

from danq.errors import InputError

MAGIC = "danq-dataset"
FORMAT_VERSION = 1

SPLITS = ("train", "valid", "test")
"""Names of the splits; a window's number in ``/windows/split`` is the place here."""

ARRAYS = {
    "genome/length": "<i8",
    "genome/bases": "|u1",
    "genome/offset": "<i8",
    "genome/n_start": "<i8",
    "genome/n_end": "<i8",
    "windows/contig": "<u4",
    "windows/start": "<i8",
    "windows/split": "|u1",
    "tracks/peaks": "<i8",
    "labels": "|u1",
}
"""Every array of numbers and its dtype."""

TEXTS = ("genome/name", "tracks/name", "tracks/group", "tracks/source")
"""Every array of UTF-8 strings."""

ATTRIBUTES = (
    "window",
    "bin",
    "stride",
    "min_overlap",
    "digest",
    "created_by",
    "build",
)
"""Root attributes beside ``magic`` and ``format_version``."""


def open_file(path: Path) -> h5py.File:
    """Open a dataset file for reading, or say why it is none.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    InputError
        When the file is missing, is no HDF5, is cut off, is another program's HDF5, is of
        another version of this format, or lacks a part.
    """
    if not path.exists():
        raise InputError("no such file", file=path, remedy="Make one with danq data build")
    if path.is_dir() or not h5py.is_hdf5(path):
        raise InputError(
            "not an HDF5 file, so not a danq data set",
            file=path,
            remedy="Make one with danq data build",
        )
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        cut = "truncated" in str(error)
        raise InputError(
            "the file is truncated" if cut else f"HDF5 cannot open it ({error})",
            file=path,
            remedy="Copy it again or build it again",
        ) from error
    try:
        check(file, path)
    except BaseException:
        file.close()
        raise
    return file


def check(file: h5py.File, path: Path) -> None:
    """Refuse a file that is not a whole dataset of this version.

    Raises
    ------
    InputError
        When the magic or version differs, or an attribute or array is missing, or of another
        dtype.
    """
    magic = file.attrs.get("magic")
    if magic != MAGIC:
        raise InputError(
            f"an HDF5 file without the attribute magic = '{MAGIC}', so not a danq data set",
            file=path,
            remedy="Make one with danq data build",
        )
    version = file.attrs.get("format_version")
    if version != FORMAT_VERSION:
        raise InputError(
            f"format version {version}, but this danq reads version {FORMAT_VERSION}",
            file=path,
            remedy="Build the data set again with this danq, or install the danq that made it",
        )
    for name in ATTRIBUTES:
        if name not in file.attrs:
            raise _incomplete(path, f"the attribute {name} is missing")
    for name in (*ARRAYS, *TEXTS):
        if not isinstance(file.get(name), h5py.Dataset):
            raise _incomplete(path, f"/{name} is missing")
    for name, dtype in ARRAYS.items():
        found = file[name].dtype  # pyright: ignore[reportAttributeAccessIssue]
        if found != dtype:
            raise _incomplete(path, f"/{name} is {found}, not {dtype}")


def _incomplete(path: Path, problem: str) -> InputError:
    return InputError(problem, file=path, remedy="The file is damaged; build it again")
