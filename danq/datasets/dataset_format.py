"""The format of dataset files: names, dtypes and version, and the check of a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from danq.errors import InputError
from danq.files.hdf5_input import Hdf5Input
from danq.files.sealed_hdf5 import open_sealed

MAGIC = "danq-dataset"
FORMAT_VERSION = 5
KIND = "dataset"
"""Kind of the file in its seal."""


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
    "tracks/kind": "|u1",
    "tracks/peaks": "<i8",
    "labels": "|u1",
}
"""Every array of numbers and its dtype."""

AMOUNT_ARRAYS = {"amounts/values": "<f4", "amounts/scale": "<f8", "amounts/reverse": "<i4"}
"""Arrays of datasets with tracks of amounts."""

WINDOW_ARRAYS = {
    "windows/length": "<i4",
    "windows/weight": "<f4",
    "windows/fold": "<i4",
    "windows/stratum": "<i4",
}
"""Arrays that some datasets have."""

TEXTS = ("genome/name", "tracks/name", "tracks/group", "tracks/source")
"""Every array of UTF-8 strings."""

AMOUNT_TEXTS = ("amounts/unit", "amounts/transform", "amounts/replicates")
"""Arrays of UTF-8 strings of datasets with tracks of amounts."""

FOLD_TEXTS, STRATUM_TEXTS = "folds/name", "strata/name"
"""Arrays of UTF-8 strings of datasets with folds and with strata."""

ATTRIBUTES = (
    "window",
    "bin",
    "stride",
    "min_overlap",
    "oriented",
    "profile_step",
    "created_by",
    "build",
)
"""Root attributes in addition to ``magic`` and ``format_version``."""


EXPECTED = "a dataset of danq (HDF5)"
REMEDY = "Make one with danq.build_dataset. If this is one, copy it again or build it again"


@contextmanager
def open_file(path: Path) -> Iterator[Hdf5Input]:
    """Open a dataset file for reading, after checking it.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    InputError
        When the file is missing, is not HDF5, is truncated or damaged, is another program's HDF5,
        is of another version of this format, or is incomplete.
    """
    with open_sealed(path, KIND, EXPECTED, remedy=REMEDY) as file:
        check(file)
        yield file


def check(file: Hdf5Input) -> None:
    """Refuse a file that is not a complete dataset of this version.

    Raises
    ------
    InputError
        When the magic or version differs, or an attribute or array is missing.
    """
    attributes, path = file.attributes, file.path
    if attributes.get("magic") != MAGIC:
        raise InputError(
            f"is an HDF5 file without the attribute magic = '{MAGIC}', so not a danq dataset",
            file=path,
            remedy=REMEDY,
        )
    version = attributes.get("format_version")
    if version != FORMAT_VERSION:
        raise InputError(
            f"is of format version {version}, but this version of danq reads version "
            f"{FORMAT_VERSION}",
            file=path,
            remedy="Build the dataset again, or install the version of danq that wrote it",
        )
    for name in ATTRIBUTES:
        if name not in attributes:
            raise _incomplete(path, f"the attribute {name} is missing")
    for name in (*ARRAYS, *TEXTS):
        if name not in file:
            raise _incomplete(path, f"/{name} is missing")


def _incomplete(path: Path, problem: str) -> InputError:
    return InputError(problem, file=path, remedy="The file is damaged; build it again")


def split_number(split: str) -> int:
    """Number of a split: 0 train, 1 valid, 2 test.

    Raises
    ------
    InputError
        When there is no split of that name.
    """
    if split not in SPLITS:
        raise InputError(f"no split '{split}'", remedy=f"The splits are {', '.join(SPLITS)}")
    return SPLITS.index(split)
