from __future__ import annotations

import os
import threading

import pytest

from danq.errors import InputError
from danq.files.open_input import check_file, open_bytes
from danq.files.pipes import copied_pipes, is_pipe, local_path
from danq.genome import read_bed

DATA = bytes(range(256)) * 4096  # more than a pipe holds


def test_a_copied_pipe_is_read_whole_by_every_reader(pipe_with):
    with copied_pipes(), pipe_with(DATA) as path:
        assert is_pipe(path)
        first = local_path(path)
        assert first.read_bytes() == DATA
        assert local_path(path) == first
        assert check_file(path) == path
        assert first.name == path.name
    assert not first.exists()


def test_a_named_pipe_keeps_its_name(tmp_path):
    path = tmp_path / "x.bed"
    os.mkfifo(path)
    thread = threading.Thread(target=path.write_bytes, args=(b"chr1\t1\t2\n",))
    thread.start()
    with copied_pipes():
        assert local_path(path).name == "x.bed"
        for _ in range(2):
            with open_bytes(path) as handle:
                assert handle.read() == b"chr1\t1\t2\n"
    thread.join()


def test_outside_the_block_a_pipe_is_refused(pipe_with):
    with (
        pipe_with(b"x") as path,
        pytest.raises(InputError, match="is a pipe, which can be read only once"),
    ):
        local_path(path)


def test_an_empty_pipe_is_an_empty_file(pipe_with):
    with (
        copied_pipes(),
        pipe_with(b"") as path,
        pytest.raises(InputError, match="is empty"),
        open_bytes(path),
    ):
        pass


def test_a_device_is_refused():
    with copied_pipes(), pytest.raises(InputError, match="is a device or a socket"):
        local_path("/dev/zero")


def test_a_full_disk_is_an_error_that_names_the_remedy(monkeypatch, pipe_with):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", full)
    with (
        copied_pipes(),
        pipe_with(b"") as path,
        pytest.raises(InputError, match=r"No space left on device.*TMPDIR"),
    ):
        local_path(path)


def test_files_and_folders_are_their_own_paths(tmp_path):
    file = tmp_path / "a"
    file.write_text("x")
    assert local_path(file) == file
    assert local_path(tmp_path) == tmp_path
    assert local_path(tmp_path / "none") == tmp_path / "none"


def test_an_empty_pipe_of_peaks_is_a_table_without_rows(pipe_with):
    with copied_pipes(), pipe_with(b"") as path:
        assert read_bed(path, empty=True).height == 0
