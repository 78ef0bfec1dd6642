"""HDF5 files that make the library run forever or crash do not stop the process that reads them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from danq.errors import InputError
from danq.files import reading_process, separate_reader
from danq.files.hdf5_input import open_hdf5
from danq.files.separate_reader import borrowed_reader


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """A file whose texts HDF5 reads forever: an object of its heap has no bytes."""
    path = tmp_path / "endless.h5"
    with h5py.File(path, "w") as file:
        file["names"] = ["one", "two", "three"]
        file["x"] = np.arange(5)
    data = bytearray(path.read_bytes())
    data[data.index(b"GCOL") + 24] = 0
    path.write_bytes(data)
    return path


def is_running(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


def test_an_endless_file_is_refused_and_the_next_file_is_read(endless: Path):
    with (
        pytest.raises(InputError, match=r"endless\.h5: .*does not finish within 2 seconds"),
        open_hdf5(endless) as file,
    ):
        file.texts("names")
    with open_hdf5(endless) as file:
        assert file.read("x").tolist() == [0, 1, 2, 3, 4]


def test_a_signal_ends_a_process_that_waits_for_an_endless_file(endless: Path):
    code = (
        "import sys; from danq.files import separate_reader; separate_reader.SECONDS = 1000\n"
        "from danq.files.hdf5_input import open_hdf5\n"
        "with open_hdf5(sys.argv[1]) as file:\n"
        "    print(file._reader._process.pid, flush=True); file.texts('names')"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(endless)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        reader = int(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode == -signal.SIGINT
    assert b"KeyboardInterrupt" in errors
    assert not is_running(reader)


def test_a_crash_of_the_library_names_the_file(tmp_path: Path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = [1]

    def read() -> None:
        with open_hdf5(tmp_path / "a.h5") as opened:
            os.kill(opened._reader._process.pid, signal.SIGSEGV)
            opened.read("x")

    with pytest.raises(InputError, match=r"a\.h5: HDF5 cannot read it .the library crashes"):
        read()


def test_a_process_is_used_for_one_file_after_the_other(tmp_path: Path):
    with borrowed_reader() as first:
        pass
    with borrowed_reader() as second, borrowed_reader() as third:
        assert second is first
        assert third is not first


def test_a_reader_ends_with_the_process_that_started_it():
    code = (
        "import os; from danq.files.separate_reader import borrowed_reader\n"
        "with borrowed_reader() as reader:\n"
        "    reader.ask('close'); print(reader._process.pid, flush=True); os._exit(0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    for _ in range(100):
        if not is_running(int(done.stdout)):
            break
        time.sleep(0.1)
    assert not is_running(int(done.stdout))


def test_a_fork_starts_its_own_readers(tmp_path: Path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = [1, 2]
    code = (
        "import os, sys; from danq.files.hdf5_input import open_hdf5\n"
        "with open_hdf5(sys.argv[1]) as outer:\n"
        "    if (child := os.fork()) == 0:\n"
        "        with open_hdf5(sys.argv[1]) as inner:\n"
        "            os._exit(int(inner.read('x').sum()))\n"
        "    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), outer.read('x').sum())"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.h5")]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    assert done.stdout == "3 3\n"


def test_memory_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=np.zeros(1 << 26, np.uint8), chunks=(1 << 26,), shuffle=True)
    monkeypatch.setattr(separate_reader, "MEMORY", -3 * 3 * (1 << 26))
    with (
        pytest.raises(InputError, match=r"a\.h5: HDF5 cannot read it"),
        open_hdf5(tmp_path / "a.h5") as opened,
    ):
        opened.read("x")


def test_texts_that_repeat_one_object_are_refused(tmp_path: Path):
    """A list of 100,000 references to one text of 50,000 letters would take 5 GB."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["names"] = ["a" * 50_000] + [""] * 99_999
        start = file["names"].id.get_offset()
    data = bytearray((tmp_path / "a.h5").read_bytes())
    data[start : start + 16 * 100_000] = data[start : start + 16] * 100_000
    (tmp_path / "a.h5").write_bytes(data)
    with (
        pytest.raises(InputError, match=r"a\.h5: .*the texts of names are longer than the file"),
        open_hdf5(tmp_path / "a.h5") as opened,
    ):
        opened.texts("names")


def test_a_file_with_too_many_objects_is_refused(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(reading_process, "MOST_OBJECTS", 5)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for number in range(6):
            file[f"x{number}"] = number
        file["loop"] = file
        with pytest.raises(ValueError, match="more than 5 arrays and groups"):
            list(reading_process.walk(file))


@pytest.mark.parametrize("chunks", [None, (3, 2, 4), (5, 7, 1), (40, 9, 11)])
def test_parts_in_pieces_equal_those_of_h5py(tmp_path: Path, monkeypatch, chunks):
    monkeypatch.setattr(separate_reader, "PIECE", 2000)
    values = np.random.default_rng(1).normal(size=(40, 9, 11)).astype(">f4")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=values, chunks=chunks)
        file["one"] = np.int16(7)
        file["none"] = np.zeros((0, 3))
    with open_hdf5(tmp_path / "a.h5") as opened:
        assert opened.read("one") == 7
        assert opened.read("none").shape == (0, 3)
        whole = opened.read("x")
        assert whole.dtype == values.dtype
        np.testing.assert_array_equal(whole, values)
        for first, last, start, stop in [
            (0, 40, 0, 11),
            (7, 38, 2, 9),
            (39, 40, 10, 11),
            (4, 4, 0, 3),
        ]:
            part = opened.read_part("x", opened.info("x"), [(first, last), (0, 9), (start, stop)])
            np.testing.assert_array_equal(part, values[first:last, :, start:stop])


def test_damage_between_two_pieces_names_the_file(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(separate_reader, "PIECE", 1000)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=np.arange(900), chunks=(100,), fletcher32=True)
        at = file["x"].id.get_chunk_info(4).byte_offset
    data = bytearray((tmp_path / "a.h5").read_bytes())
    data[at] ^= 1
    (tmp_path / "a.h5").write_bytes(data)
    for _ in range(2):
        with (
            pytest.raises(
                InputError, match=r"a\.h5: HDF5 cannot read it .*filter returned failure"
            ),
            open_hdf5(tmp_path / "a.h5") as opened,
        ):
            opened.read("x")
