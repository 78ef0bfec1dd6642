"""The format of dataset files: names, dtypes and version, and the check of a file."""

from __future__ import annotations

from pathlib import Path

import h5py

from danq.errors import InputError
from danq.files.hdf5_input import hdf5_errors, open_hdf5

MAGIC = "danq-dataset"
FORMAT_VERSION = 2

SPLITS = ("train", "valid", "test")
"""Names of the splits; ``/windows/split`` holds the index in this tuple."""

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
    "sha256",
    "created_by",
    "build",
)
"""Root attributes in addition to ``magic`` and ``format_version``."""


EXPECTED = "a dataset of danq (HDF5)"
REMEDY = "Make one with danq.build_dataset. If this is one, copy it again or build it again"


def open_file(path: Path) -> h5py.File:
    """Open a dataset file for reading, after checking it.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    InputError
        When the file is missing, is not HDF5, is truncated, is another program's HDF5, is of
        another version of this format, or is incomplete.
    """
    file = open_hdf5(path, EXPECTED, remedy=REMEDY)
    try:
        with hdf5_errors(path, EXPECTED, remedy=REMEDY):
            check(file, path)
    except BaseException:
        file.close()
        raise
    return file


def check(file: h5py.File, path: Path) -> None:
    """Refuse a file that is not a complete dataset of this version.

    Raises
    ------
    InputError
        When the magic or version differs, an attribute or array is missing, or an array has
        another dtype.
    """
    magic = file.attrs.get("magic")
    if magic != MAGIC:
        raise InputError(
            f"is an HDF5 file without the attribute magic = '{MAGIC}', so not a danq dataset",
            file=path,
            remedy=REMEDY,
        )
    version = file.attrs.get("format_version")
    if version != FORMAT_VERSION:
        raise InputError(
            f"is of format version {version}, but this version of danq reads version "
            f"{FORMAT_VERSION}",
            file=path,
            remedy="Build the dataset again, or install the version of danq that wrote it",
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
