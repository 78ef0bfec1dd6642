"""Files with a seal: every changed bit is found before HDF5 reads the file."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from danq.datasets.hdf5_writer import writing
from danq.errors import InputError
from danq.files.binary_input import format_of
from danq.files.hdf5_input import is_hdf5
from danq.files.sealed_hdf5 import open_sealed

THING = ("thing", "a thing (HDF5)")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    with writing(tmp_path / "a.h5", "thing") as opened:
        opened.attrs["magic"] = "danq-thing"
        opened["numbers"] = np.arange(300)
        opened.create_dataset("names", data=["a", "b\u00e4"], dtype=h5py.string_dtype())
    return tmp_path / "a.h5"


def read(path: Path, change: Callable[[], None] = lambda: None) -> None:
    with open_sealed(path, *THING, remedy="Make one") as opened:
        opened.read("numbers")
        change()


def test_a_sealed_file_is_read(file: Path):
    with open_sealed(file, *THING, remedy="Make one") as opened:
        assert opened.attributes == {"magic": "danq-thing"}
        assert "numbers" in opened
        assert "none" not in opened
        np.testing.assert_array_equal(opened.read("numbers", "<i8", (300,)), np.arange(300))
        assert opened.texts("names") == ("a", "b\u00e4")


def test_other_programs_recognise_it(file: Path):
    assert is_hdf5(file)
    assert format_of(file) == "an HDF5 file"
    with h5py.File(file) as opened:
        assert opened.userblock_size == 512


def test_the_seal_is_a_line_of_text_with_the_checksum_of_the_rest(file: Path):
    line = file.read_bytes()[:512].rstrip(b"\0").decode()
    rest = file.with_name("rest")
    rest.write_bytes(file.read_bytes()[512:])
    program = subprocess.run(["sha256sum", rest], capture_output=True, text=True, check=True)
    assert line == f"danq HDF5 1 thing {file.stat().st_size} {program.stdout[:64]}\n"


def test_each_flipped_bit_is_found(file: Path):
    whole = file.read_bytes()
    places = np.random.default_rng(0).integers(0, 8 * len(whole), 1000)
    places = {*places.tolist(), *range(8 * 520), 8 * len(whole) - 1}
    for place in places:
        changed = bytearray(whole)
        changed[place // 8] ^= 1 << (place % 8)
        file.write_bytes(changed)
        with pytest.raises(InputError, match=r"a\.h5: "):
            read(file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda whole: whole[:-1], r"the file is truncated: it has [0-9,]+ of [0-9,]+ bytes"),
        (lambda whole: whole[:600], "the file is truncated"),
        (lambda whole: whole[:100], "the file is truncated: it has 100 of"),
        (lambda whole: whole + b"\0", "the file is damaged: its content does not match"),
        (lambda whole: whole[:-1] + b"?", "the file is damaged: its content does not match"),
        (lambda whole: whole[:511] + b"?" + whole[512:], "the file is damaged"),
        (lambda whole: bytes(512) + whole[512:], "is HDF5 without the checksum of a thing"),
        (lambda whole: b"chr1\t0\t1\n", "is a text file, not a thing .HDF5.. Make one"),
        (lambda whole: whole.replace(b"5 1 thing", b"5 1 other"), "but a other, not a thing"),
    ],
)
def test_another_or_changed_file_is_refused(file: Path, change, message: str):
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(InputError, match=message):
        read(file)


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_changes_while_it_is_read_is_refused(file: Path, replaced: bool):
    def change() -> None:
        whole = file.read_bytes()
        if replaced:
            file.with_name("new").write_bytes(whole)
            os.replace(file.with_name("new"), file)
        else:
            file.write_bytes(whole[:-1] + b"?")

    with pytest.raises(InputError, match=r"a\.h5: the file was changed while it was read"):
        read(file, change)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda opened: opened.read("none"), "/none is missing"),
        (lambda opened: opened.read("numbers", "<f4"), "/numbers is int64, not float32"),
        (lambda opened: opened.read("numbers", None, (3,)), r"/numbers has shape \(300,\)"),
        (lambda opened: opened.read("numbers", None, (None, 2)), r"/numbers has shape \(300,\)"),
        (lambda opened: opened.texts("numbers"), "/numbers is not a list of texts"),
        (lambda opened: opened.texts("none"), "/none is missing"),
    ],
)
def test_arrays_of_another_kind_are_refused(file: Path, ask, message: str):
    with (
        pytest.raises(InputError, match=rf"a\.h5: {message}.*\. Make one"),
        open_sealed(file, *THING, remedy="Make one") as opened,
    ):
        ask(opened)
