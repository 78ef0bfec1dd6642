from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import danq
from danq.errors import InputError
from danq.vision.dataset import ShuffledBatches
from danq.vision.own_data import InputSettings, own_examples, reading_workers
from danq.vision.own_data.reading_workers import WorkerCrashed, borrowed_workers, end_workers
from tests.vision.own_data.image_set import class_folders


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    yield class_folders(tmp_path_factory.mktemp("many"), 40, ".jpg")
    end_workers()


@pytest.fixture(scope="module")
def data(folder):
    return [own_examples("images", folder, InputSettings(workers=n))[1] for n in (0, 2)]


def test_workers_give_what_one_process_gives(data):
    alone, streamed = data
    assert alone.sha256 == streamed.sha256
    np.testing.assert_array_equal(alone.train["image"], streamed.train["image"])
    for size in (7, 64):
        streams = [ShuffledBatches(one.train, size, seed=5) for one in data]
        for one, other in zip(streams[0].epoch(3), streams[1].epoch(3), strict=True):
            for a, b in zip(one, other, strict=True):
                np.testing.assert_array_equal(a, b)
        # An epoch that resumes in its middle has the same batches.
        again = [*streams[1].epoch(3, len(streams[1]) // 2)]
        for one, other in zip([*streams[0].epoch(3)][-len(again) :], again, strict=True):
            np.testing.assert_array_equal(one[1], other[1])


def test_batches_do_not_change_when_later_ones_are_read(data):
    batches = [batch[1] for batch in ShuffledBatches(data[1].train, 8, seed=5).epoch(0)]
    for kept, fresh in zip(
        batches, ShuffledBatches(data[0].train, 8, seed=5).epoch(0), strict=True
    ):
        np.testing.assert_array_equal(kept, fresh[1])


def test_two_streams_at_a_time(data):
    streams = [ShuffledBatches(data[1].train, 16, seed=s).epoch(0) for s in (1, 2)]
    for first, second in zip(*streams, strict=True):
        assert first[1].shape == second[1].shape
        assert not np.array_equal(first[1], second[1])


def test_a_file_that_disappears_is_named(folder, data):
    lost = data[1].train.sources[5]
    os.rename(lost, lost + ".moved")
    try:
        with pytest.raises(InputError, match="no such file") as caught:
            list(ShuffledBatches(data[1].train, 16, seed=0).epoch(0))
        assert caught.value.file == lost
    finally:
        os.rename(lost + ".moved", lost)
    assert len(list(ShuffledBatches(data[1].train, 16, seed=0).epoch(0))) == 6


def test_a_worker_that_is_killed_is_replaced(data, caplog):
    with borrowed_workers(2) as pool:
        pids = [worker.process.pid for worker in pool._workers]
    expected = list(ShuffledBatches(data[0].train, 16, seed=0).epoch(0))
    stream = ShuffledBatches(data[1].train, 16, seed=0).epoch(0)
    found = [next(stream)]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    with caplog.at_level(logging.WARNING, "danq"):
        found += stream
    for ours, theirs in zip(found, expected, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a, b)
    assert "a process that reads files ended (SIGKILL) while it read" in caplog.text


CRASHING = """
import json, os, signal, sys
sys.path[:] = json.loads(sys.argv[1])
from danq.vision.own_data import checked_files, decoders, reading_worker
from danq.vision.own_data.image_files import opened_image
def acts(whole):
    def read(first, *more):
        if "deadly" in str(more or first):
            os.kill(os.getpid(), signal.SIGSEGV)
        return whole(first, *more)
    return read
reading_worker.CHECKS["image"] = acts(reading_worker.CHECKS["image"])
reading_worker.decode_row = acts(reading_worker.decode_row)
reading_worker.serve(int(sys.argv[2]))
"""


def test_a_file_that_ends_its_reader_is_named(tmp_path, monkeypatch, caplog):
    folder = class_folders(tmp_path / "many", 30, ".jpg")
    alone = own_examples("images", folder, InputSettings(workers=0))[1].train
    end_workers()
    monkeypatch.setattr(reading_workers, "_CODE", CRASHING)
    deadly = folder / "red" / "deadly.jpg"
    shutil.copy(folder / "red" / "3.jpg", deadly)
    try:
        with pytest.raises(InputError, match=r"1 of 91 images .*deadly\.jpg \(ends the .*SIGSEGV"):
            own_examples("images", folder, InputSettings(workers=2))
        settings = InputSettings(workers=2, skip_damaged=True)
        with caplog.at_level(logging.WARNING, "danq"):
            data = own_examples("images", folder, settings)[1].train
        assert "1 of 91 images cannot be read" in caplog.text
        assert data.digests == alone.digests
        np.testing.assert_array_equal(data["image"], alone["image"])
        data.sources[5] = str(deadly)
        with pytest.raises(InputError, match="ends the process that reads it") as caught:
            list(ShuffledBatches(data, 16, seed=0).epoch(0))
        assert caught.value.file == str(deadly)
    finally:
        end_workers()


def test_workers_that_do_not_start_are_reported(data, monkeypatch):
    end_workers()
    monkeypatch.setattr(reading_workers, "_CODE", "raise SystemExit(3)")
    with pytest.raises(WorkerCrashed, match=r"ended \(exit code 3\) at its start"):
        list(ShuffledBatches(data[1].train, 16, seed=0).epoch(0))
    end_workers()


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_changes_is_named(folder, data, workers):
    examples = data[workers].train
    path = examples.sources[7]
    content = Path(path).read_bytes()
    state = os.stat(path)
    for changed, time_ns in ((content + b"x", state.st_mtime_ns), (content, 10**18)):
        Path(path).write_bytes(changed)
        os.utime(path, ns=(time_ns, time_ns))
        with pytest.raises(InputError, match="has changed since danq first read it") as caught:
            list(ShuffledBatches(examples, 16, seed=0).epoch(0))
        assert caught.value.file == path
    Path(path).write_bytes(content)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert len(list(ShuffledBatches(examples, 16, seed=0).epoch(0))) == 6


def test_only_the_files_of_a_share_are_read(data):
    whole = list(ShuffledBatches(data[1].train, 17, seed=4).epoch(2))
    shares = [list(ShuffledBatches(data[1].train, 17, 4).shares(2, 0, i, 3)) for i in range(3)]
    for number, batch in enumerate(whole):
        for rank in range(3):
            size, part = shares[rank][number]
            assert size == len(batch[0])
            for ours, theirs in zip(part, batch, strict=True):
                np.testing.assert_array_equal(ours, theirs[rank::3])


def test_a_stream_that_is_left_ends_its_workers(data):
    stream = ShuffledBatches(data[1].train, 16, seed=0).epoch(0)
    next(stream)
    with borrowed_workers(2):
        pass
    children = _children(os.getpid())
    stream.close()
    assert len(_children(os.getpid())) == len(children) - 2


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_survives_its_owner(folder, how):
    code = (
        "import pathlib, sys\n"
        "from danq.vision.own_data.source_check import read_all\n"
        "files = list(map(str, pathlib.Path(sys.argv[1]).rglob('*.jpg')))\n"
        "read_all('image', files, 2)\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    read_all('image', files, 2)\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    with owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"ready\n"
        workers = _children(owner.pid)
        assert len(workers) == 2
        owner.send_signal(how)
        owner.wait()
    end = time.monotonic() + 20
    while any(map(_runs, workers)):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_workers_start_without_torch():
    code = "import sys, danq.vision.own_data.reading_worker; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"torch", "av", "scipy", "polars", "h5py"} & set(done.stdout.split()) == set()


def _children(pid: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    mine = []
    for child in map(int, found.stdout.split()):
        try:
            with open(f"/proc/{child}/cmdline", "rb") as file:
                if b"reading_worker" in file.read():
                    mine.append(child)
        except OSError:
            pass
    return mine


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_workers_find_danq_outside_of_the_path(monkeypatch):
    # `pip install --editable` finds danq by a hook, not by the path.
    root = os.path.dirname(danq.__path__[0])
    monkeypatch.chdir("/")
    kept = [one for one in sys.path if os.path.realpath(one) != os.path.realpath(root)]
    monkeypatch.setattr(sys, "path", kept)
    with borrowed_workers(1) as workers:
        assert workers.result(workers.submit("check", kind="image", paths=[])) == []


def test_relative_paths_are_those_of_the_current_folder(folder, tmp_path, monkeypatch):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "many").symlink_to(folder, target_is_directory=True)
    found = []
    for name in ("one", "two"):
        monkeypatch.chdir(tmp_path / name)
        found.append(own_examples("images", "many", InputSettings(workers=2))[1].train)
        found[-1]["image"]
        (tmp_path / name / "many").unlink()
    assert len(found[0]) == len(found[1])
