"""Check and open input files, plain or gzip, with errors that name the file."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from danq.errors import InputError

GZIP_MAGIC = b"\x1f\x8b"
BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
"""End-of-file block of BGZF (SAM specification, section 4.1.2)."""

GZIP_ENDINGS = (".gz", ".bgz")


def check_file(path: str | Path) -> Path:
    """Return the path of a file that exists and is not empty.

    Raises
    ------
    InputError
        When there is no such file, it is a folder, it is empty, or its folder must not be
        read.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
    except OSError as error:
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        problem = "no such file" if missing else f"cannot be read ({error.strerror})"
        raise InputError(problem, file=path, remedy="Check the path") from error
    if path.is_dir():
        raise InputError(
            "is a folder, not a file", file=path, remedy="Give the path of a file in it"
        )
    if size == 0 and path.is_file():
        raise InputError("is empty (0 bytes)", file=path, remedy="Copy or download it again")
    return path


def is_gzip(path: str | Path) -> bool:
    """Whether a file is gzip by its first two bytes; bgzip is gzip, too.

    Raises
    ------
    InputError
        As :func:`check_file`; when the file cannot be opened; and when its name ends with
        ``.gz`` or ``.bgz`` but it is not gzip.
    """
    path = check_file(path)
    with _open(path) as handle:
        zipped = handle.read(2) == GZIP_MAGIC
    if not zipped and path.name.lower().endswith(GZIP_ENDINGS):
        raise InputError(
            f"has the extension {path.suffix} but is not gzip",
            file=path,
            remedy="Rename it, or compress it with gzip or bgzip",
        )
    return zipped


@contextmanager
def open_bytes(path: str | Path) -> Iterator[BinaryIO]:
    """Open a plain, gzip or bgzip file for reading its uncompressed bytes.

    Raises
    ------
    InputError
        As :func:`is_gzip`; and, while it is being read, when the gzip stream is cut short
        or damaged.
    """
    path = Path(path)
    zipped = is_gzip(path)
    with _open(path) as raw:
        if not zipped:
            yield raw
            return
        try:
            with gzip.GzipFile(fileobj=raw, mode="rb") as handle:
                yield cast(BinaryIO, handle)
        except EOFError as error:
            raise truncated(path) from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise damaged(path, error) from error


def truncated(path: Path) -> InputError:
    """Make the error for a gzip file that ends too early."""
    return InputError(
        "the gzip stream ends too early, so the file is truncated",
        file=path,
        remedy="Copy or download it again; 'gzip -t' checks it",
    )


def damaged(path: Path, error: Exception) -> InputError:
    """Make the error for a damaged gzip file."""
    return InputError(
        f"the gzip stream is damaged ({error})",
        file=path,
        remedy="Copy or download it again; 'gzip -t' checks it",
    )


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(
            f"cannot be opened ({error.strerror})", file=path, remedy="Check its permissions"
        ) from error
