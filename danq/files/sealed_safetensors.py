"""Safetensors files with a checksum of all their bytes, which is verified before anything else.

Any safetensors library can read such a file. Its metadata begins with the entry ``sha256``: the
SHA-256 of the whole file, with the 64 digits of that entry replaced by zeros. The header has one
form only: no spaces except those that pad it to a multiple of 8 bytes, metadata sorted by name
after ``sha256``, tensors in the order of their data, which has no gaps.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from io import BufferedReader
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from danq.errors import InputError
from danq.files.inputs_in_use import note_checked
from danq.files.open_input import check_file, open_raw

MAX_HEADER = 16 << 20
"""Largest number of bytes of a header; the names of 20,000 tracks take less than 2 MB."""

MAX_BYTES = 32 << 30
"""Largest number of bytes of a file, which is read into memory."""

ALIGNMENT = 64
"""Address of a tensor in memory, as torch aligns its own."""

_METADATA, _SEAL = "__metadata__", "sha256"
_BEFORE = f'{{"{_METADATA}":{{"{_SEAL}":"'.encode()
_DIGITS = slice(8 + len(_BEFORE), 8 + len(_BEFORE) + 64)
_ZEROS = "0" * 64
_CHUNK = 8 << 20
_KINDS = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U8": np.uint8,
    "BOOL": np.bool_,
}
_CODES = {np.dtype(kind): code for code, kind in _KINDS.items()}


class SealedFile(NamedTuple):
    """Content of a file whose checksum is right.

    Attributes
    ----------
    metadata
        Texts by name, without the checksum.
    arrays
        Arrays by name. They share the memory of the file's bytes.
    sha256
        SHA-256 of the file as stored, in hexadecimal, as ``sha256sum`` prints it.
    """

    metadata: dict[str, str]
    arrays: dict[str, np.ndarray]
    sha256: str


class NotSealed(InputError):
    """A file without a checksum of this form.

    Attributes
    ----------
    metadata
        Metadata of a safetensors file, or None for a file of another kind.
    """

    metadata: dict[str, Any] | None = None


def write_sealed(path: Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> str:
    """Write a sealed file.

    Parameters
    ----------
    path
        File to write.
    arrays
        Arrays by name.
    metadata
        Texts by name.

    Returns
    -------
    SHA-256 of the file, in hexadecimal.

    Raises
    ------
    InputError
        When the header is longer than `MAX_HEADER`, or an array has a type that is not stored.
    OSError
        When the file cannot be written.
    """
    entries, end, parts = {}, 0, []
    for name in sorted(arrays, key=lambda name: _order(arrays[name])):
        array = np.ascontiguousarray(arrays[name])
        code = _CODES.get(array.dtype)
        if code is None:
            raise InputError(f"holds {array.dtype}, which is not stored", record=name)
        start, end = end, end + array.nbytes
        shape = list(arrays[name].shape)
        entries[name] = {"dtype": code, "shape": shape, "data_offsets": [start, end]}
        parts.append(array.reshape(-1).view(np.uint8))
    header = bytearray(_header(dict(metadata), entries, _ZEROS))
    if len(header) - 8 > MAX_HEADER:
        raise InputError(
            f"the header has {len(header) - 8:,} bytes; at most {MAX_HEADER:,} are allowed",
            remedy="Use fewer tracks or shorter names",
        )
    digest = hashlib.sha256(header)
    for part in parts:
        digest.update(part)
    header[_DIGITS] = digest.hexdigest().encode()
    stored = hashlib.sha256(header)
    with path.open("wb") as file:
        file.write(header)
        for part in parts:
            stored.update(part)
            file.write(part.data)
    return stored.hexdigest()


def read_sealed(path: str | Path, *, expected: str, remedy: str) -> SealedFile:
    """Read a sealed file once, verify its bytes, and return what they hold.

    Parameters
    ----------
    path
        The file.
    expected
        What the file should be, such as "a model file of danq".
    remedy
        What to do when it is damaged.

    Raises
    ------
    NotSealed
        When it is another file.
    InputError
        When there is no such file, it is damaged, or its header is not of the form that danq
        writes.
    """
    with open_raw(check_file(path)) as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(_DIGITS.stop)
        if start[8 : _DIGITS.start] != _BEFORE or len(start) < _DIGITS.stop:
            raise _not_sealed(path, file, start, expected, remedy)
        length = int.from_bytes(start[:8], "little")
        shortest = len(start) - 8
        if not shortest <= length <= min(MAX_HEADER, size - 8) or size > MAX_BYTES:
            raise _damaged(
                f"it has {size:,} bytes, of which {length:,} would be the header; at most "
                f"{MAX_BYTES:,} and {MAX_HEADER:,} are allowed",
                path,
                remedy,
            )
        header = start + file.read(8 + length - len(start))
        described = _described_size(header)
        if described not in (None, size):
            verb = "is truncated" if size < described else "is damaged"
            raise InputError(
                f"{verb}: it has {size:,} bytes, and its header describes {described:,}",
                file=path,
                remedy=remedy,
            )
        content, sha256 = _verified(file, header, size, path, remedy)
        note_checked(path)
    try:
        metadata, arrays = _parsed(bytes(content[8 : 8 + length]), content[8 + length :])
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            f"is not {expected}: its header does not have the form that danq writes",
            file=path,
            remedy=remedy,
        ) from error
    return SealedFile(metadata, arrays, sha256)


def _verified(
    file: BufferedReader, header: bytes, size: int, path: str | Path, remedy: str
) -> tuple[np.ndarray, str]:
    """All bytes of a file whose header was read, and their SHA-256."""
    space = np.empty(size + ALIGNMENT, np.uint8)
    first = -(space.ctypes.data + len(header)) % ALIGNMENT
    content = space[first : first + size]
    content[: len(header)] = np.frombuffer(header, np.uint8)
    zeroed = header[: _DIGITS.start] + _ZEROS.encode() + header[_DIGITS.stop :]
    seal, stored = hashlib.sha256(zeroed), hashlib.sha256(header)
    # hashlib releases the interpreter's lock, so both sums are computed while the file is read.
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as two:
        at = len(header)
        while at < size and (count := file.readinto(content[at : at + _CHUNK].data)):
            one.submit(seal.update, content[at : at + count].data)
            two.submit(stored.update, content[at : at + count].data)
            at += count
        longer = file.read(1)
    if at < size or longer:
        raise _damaged("its size changed while it was read", path, remedy)
    if seal.hexdigest().encode() != header[_DIGITS]:
        raise _damaged("its SHA-256 checksum does not match its content", path, remedy)
    return content, stored.hexdigest()


def _parsed(header: bytes, data: np.ndarray) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Metadata and arrays; raises one of several errors where the header has another form."""
    entries = json.loads(header.decode("ascii"))
    metadata = entries.pop(_METADATA)
    seal = metadata.pop(_SEAL)
    if not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("metadata")
    arrays, at = {}, 0
    for name, entry in entries.items():
        kind, shape = np.dtype(_KINDS[entry["dtype"]]), entry["shape"]
        if list(entry) != ["dtype", "shape", "data_offsets"]:
            raise ValueError("entry")
        if any(type(count) is not int or count < 0 for count in shape):
            raise ValueError("shape")
        end = at + math.prod(shape) * kind.itemsize
        if entry["data_offsets"] != [at, end] or end > data.size:
            raise ValueError("offsets")
        array = data[at:end]
        if kind == np.bool_ and (array > 1).any():
            raise ValueError("truth values")
        if array.ctypes.data % ALIGNMENT:
            array = array.copy()
        arrays[name] = array.view(kind).reshape(shape)
        at = end
    if at != data.size or _header(metadata, entries, seal)[8:] != header:
        raise ValueError("form")
    return metadata, arrays


def _header(metadata: dict[str, str], entries: dict[str, Any], seal: str) -> bytes:
    """The header with its length before it, in its only form."""
    texts = {_SEAL: seal} | {name: metadata[name] for name in sorted(metadata)}
    text = json.dumps({_METADATA: texts, **entries}, separators=(",", ":"), allow_nan=False)
    text += " " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text.encode("ascii")


def _order(array: np.ndarray) -> tuple[bool, int]:
    """Key that keeps the data of each array aligned."""
    return array.nbytes % ALIGNMENT > 0, -array.dtype.itemsize


def _described_size(header: bytes) -> int | None:
    """Bytes of the file according to its header, or None where that is damaged."""
    try:
        entries = json.loads(header[8:])
        ends = [entry["data_offsets"][1] for name, entry in entries.items() if name != _METADATA]
        end = max(ends, default=0)
        return len(header) + end if type(end) is int and 0 <= end <= MAX_BYTES else None
    except (ValueError, RecursionError, TypeError, KeyError, IndexError, AttributeError):
        return None


def _not_sealed(
    path: str | Path, file: BufferedReader, start: bytes, expected: str, remedy: str
) -> NotSealed:
    """The error for a file that does not begin as a sealed file, with its metadata if it has."""
    error = NotSealed(f"is not {expected} (safetensors)", file=path, remedy=remedy)
    length = int.from_bytes(start[:8], "little")
    if length <= MAX_HEADER and start[8:9] == b"{":
        text = start[8 : 8 + length] + file.read(max(0, 8 + length - len(start)))
        try:
            header = json.loads(text)
        except (ValueError, RecursionError):
            return error
        metadata = header.get(_METADATA, {})
        error.metadata = metadata if isinstance(metadata, dict) else {}
    return error


def _damaged(problem: str, path: str | Path, remedy: str) -> InputError:
    return InputError(f"is damaged: {problem}", file=path, remedy=remedy)
