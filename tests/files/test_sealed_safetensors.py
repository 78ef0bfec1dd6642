"""Sealed safetensors files: any damage is detected, and only one form of the header is read."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from danq.errors import InputError
from danq.files.sealed_safetensors import (
    ALIGNMENT,
    MAX_HEADER,
    NotSealed,
    SealedFile,
    read_sealed,
    write_sealed,
)
from tests.reseal import BEFORE, join, sealed, split

ARRAYS = {
    "layer.weight": np.arange(12, dtype=np.float32).reshape(3, 4),
    "count": np.array(7, np.int64),
    "large": np.linspace(0, 1, 256, dtype=np.float32).reshape(64, 4),
    "none": np.zeros((0, 3), np.float32),
    "flags": np.array([True, False, True]),
}
METADATA = {"danq": '{"name": "é"}', "a": "1"}


def read(path: Path) -> SealedFile:
    return read_sealed(path, expected="a model file of danq", remedy="Copy it again")


@pytest.fixture
def path(tmp_path) -> Path:
    write_sealed(tmp_path / "a.safetensors", ARRAYS, METADATA)
    return tmp_path / "a.safetensors"


def test_what_is_written_is_read_here_and_by_the_library(path):
    found, others = read(path), safetensors.numpy.load_file(path)
    assert found.metadata == METADATA
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.arrays.keys() == others.keys() == ARRAYS.keys()
    for name, expected in ARRAYS.items():
        for array in (found.arrays[name], others[name]):
            assert array.dtype == expected.dtype
            assert array.shape == expected.shape
            assert np.array_equal(array, expected)
    assert found.arrays["large"].ctypes.data % ALIGNMENT == 0


def test_a_flipped_bit_in_any_byte_is_detected(path):
    rng = np.random.default_rng(0)
    content = path.read_bytes()
    for index in range(len(content)):
        changed = bytearray(content)
        changed[index] ^= 1 << int(rng.integers(8))
        path.write_bytes(changed)
        with pytest.raises(InputError, match="is damaged|is truncated|is not a model file"):
            read(path)


def test_any_truncation_and_any_added_byte_is_detected(path):
    content = path.read_bytes()
    for size in range(0, len(content), 7):
        path.write_bytes(content[:size])
        with pytest.raises(InputError):
            read(path)
    for more in (b"\0", b" ", content):
        path.write_bytes(content + more)
        with pytest.raises(InputError, match="is damaged: it has"):
            read(path)


def with_header(change) -> bytes:
    """A file with the right checksum whose header is text of another form."""

    def make(path: Path) -> bytes:
        header, data = split(path)
        text = change(json.dumps(header, separators=(",", ":")).encode())
        return sealed(text + b" " * (-len(text) % 8), data)

    return make


def with_entries(change) -> bytes:
    """A file with the right checksum and other entries of its header."""

    def make(path: Path) -> bytes:
        header, data = split(path)
        changed = change(header, data)
        return join(header, data if changed is None else changed)

    return make


def entry(name: str, **values):
    return with_entries(lambda header, _: header[name].update(values))


def twice(text: bytes) -> bytes:
    return text[:-1] + b',"count":{"dtype":"I64","shape":[],"data_offsets":[0,8]}}'


HOSTILE = {
    "spaces": with_header(lambda text: text.replace(b'"count":', b'"count": ')),
    "a line feed for padding": with_header(lambda text: text + b"\n" * 8),
    "a name twice": with_header(twice),
    "escapes": with_header(lambda text: text.replace(b'"large"', b'"l\\u0061rge"')),
    "UTF-8": with_header(lambda text: text.replace(b"\\u00e9", "é".encode())),
    "deep": with_header(lambda text: text[:-1] + b',"x":' + b"[" * 10**6 + b"]" * 10**6 + b"}"),
    "NaN": with_header(lambda text: text[:-1] + b',"x":NaN}'),
    "no JSON": with_header(lambda text: text[:-1]),
    "huge offset": with_header(lambda text: text.replace(b"[0,1024]", b"[0," + b"9" * 5000 + b"]")),
    "huge shape": entry("large", shape=[2**62, 2**62]),
    "negative shape": entry("large", shape=[-64, -4]),
    "fractions": entry("large", shape=[64.0, 4.0]),
    "truth as a number": entry("count", shape=[True]),
    "another shape": entry("large", shape=[63, 4]),
    "overlap": entry("layer.weight", data_offsets=[0, 48]),
    "a shape that is a text": entry("large", shape="64"),
    "a type of others": entry("large", dtype="BF16"),
    "a type that is a list": entry("large", dtype=["F32"]),
    "more about an entry": entry("large", note="x"),
    "an entry that is a number": with_entries(lambda header, _: header.update(x=5)),
    "metadata that are numbers": with_entries(lambda header, _: header["__metadata__"].update(a=1)),
    "bytes after the data": with_entries(lambda _, data: data + b"\0" * 8),
    "too few data": with_entries(lambda _, data: data[:-8]),
    "flags above 1": with_entries(lambda _, data: data[:-1] + b"\2"),
    "an empty header": lambda path: sealed(BEFORE + b"0" * 64 + b'"}}', b"")[:-2],
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_headers_of_another_form_are_refused(make, path):
    path.write_bytes(make(path))
    with pytest.raises(InputError, match=r"does not have the form|is damaged|is truncated"):
        read(path)


def test_a_header_that_would_be_longer_than_allowed_is_refused_before_it_is_read(path):
    content = bytearray(path.read_bytes())
    content[:8] = (1 << 50).to_bytes(8, "little")
    path.write_bytes(content)
    with pytest.raises(
        InputError, match=f"1,125,899,906,842,624 would be the header.*{MAX_HEADER:,}"
    ):
        read(path)
    with pytest.raises(InputError, match="at most 16,777,216 are allowed"):
        write_sealed(path, ARRAYS, {"danq": "x" * MAX_HEADER})


@pytest.mark.parametrize("length", [0, 1, 60, 89])
def test_a_header_that_would_end_within_the_checksum_is_refused(path, length):
    content = bytearray(path.read_bytes())
    content[:8] = length.to_bytes(8, "little")
    path.write_bytes(content)
    with pytest.raises(InputError, match="is damaged|is truncated"):
        read(path)


def test_a_large_empty_file_is_refused_at_once(path):
    os.truncate(path, 1 << 40)
    with pytest.raises(InputError, match="is damaged: it has 1,099,511,627,776 bytes"):
        read(path)


def test_other_safetensors_files_are_recognised(tmp_path):
    safetensors.numpy.save_file(ARRAYS, tmp_path / "other", {"danq": "{}"})
    with pytest.raises(NotSealed) as caught:
        read(tmp_path / "other")
    assert caught.value.metadata == {"danq": "{}"}
    for content in (b"text", b"\0" * 500, b"\xff" * 500, (40).to_bytes(8, "little") + b"{" * 50):
        (tmp_path / "other").write_bytes(content)
        with pytest.raises(NotSealed) as caught:
            read(tmp_path / "other")
        assert caught.value.metadata is None


def test_types_that_are_not_stored_are_refused(tmp_path):
    with pytest.raises(InputError, match="record 'x': holds complex64, which is not stored"):
        write_sealed(tmp_path / "a", {"x": np.zeros(2, np.complex64)}, {})
