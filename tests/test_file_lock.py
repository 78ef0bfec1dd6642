"""The lock of an output: held by one process, and only as long as that process lives."""

from __future__ import annotations

import errno
import fcntl
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from danq.errors import InputError
from danq.file_lock import FileLock

HOLD = """
import os, sys, time
from pathlib import Path
from danq.file_lock import FileLock
path = Path(sys.argv[1])
lock = FileLock(path, path.parent)
{more}
os.write(1, b"locked\\n")
time.sleep(60)
"""
# One write for a line, because two processes write to the same pipe.
FORK = "if os.fork() == 0:\n    os.write(1, b'%d\\n' % os.getpid()); time.sleep(60)"
PROGRAM = (
    "import subprocess\n"
    "child = subprocess.Popen(['sleep', '60'], close_fds=False, stdout=subprocess.DEVNULL)\n"
    "print(child.pid, flush=True)"
)


def holder(path: Path, more: str = "") -> tuple[subprocess.Popen[str], list[int]]:
    """A process that holds the lock, and the numbers of the processes that it started."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD.format(more=more), str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    lines = {process.stdout.readline().strip() for _ in range(2 if more else 1)}
    return process, [int(line) for line in lines - {"locked"}]


def test_a_second_lock_is_refused_until_the_first_is_closed(tmp_path):
    message = f"{tmp_path}: another process is writing this output"
    with FileLock(tmp_path / "lock", tmp_path), pytest.raises(InputError, match=message):
        FileLock(tmp_path / "lock", tmp_path)
    FileLock(tmp_path / "lock", tmp_path).close()


@pytest.mark.parametrize("more", ["", FORK, PROGRAM], ids=["alone", "forked", "program"])
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM], ids=lambda one: one.name)
def test_the_lock_ends_with_its_process(more, ending, tmp_path):
    process, children = holder(tmp_path / "lock", more)
    try:
        with pytest.raises(InputError, match="another process"):
            FileLock(tmp_path / "lock", tmp_path)
        process.send_signal(ending)
        process.wait()
        FileLock(tmp_path / "lock", tmp_path).close()
        for child in children:
            os.kill(child, 0)
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
        for child in children:
            os.kill(child, signal.SIGKILL)


def test_a_forked_worker_does_not_free_the_lock_of_its_parent(tmp_path):
    with FileLock(tmp_path / "lock", tmp_path):
        worker = multiprocessing.get_context("fork").Process(target=time.sleep, args=(0,))
        worker.start()
        worker.join()
        with pytest.raises(InputError, match="another process"):
            FileLock(tmp_path / "lock", tmp_path)


def test_a_lock_file_that_was_deleted_meanwhile_is_made_again(tmp_path, monkeypatch):
    path, whole, deleted = tmp_path / "lock", fcntl.flock, []

    def deletes(number, kind):
        if not deleted:
            deleted.append(path.unlink())
        whole(number, kind)

    monkeypatch.setattr(fcntl, "flock", deletes)
    with FileLock(path, tmp_path):
        assert path.is_file()


def test_a_link_or_pipe_in_place_of_the_lock_is_refused(tmp_path):
    (tmp_path / "elsewhere").write_text("text")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(InputError, match=f"{name}: is a link or a device"):
            FileLock(tmp_path / name, tmp_path)
    assert (tmp_path / "elsewhere").read_text() == "text"


def test_a_file_system_without_locks_is_reported(tmp_path, monkeypatch, caplog):
    def none(number, kind):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with FileLock(tmp_path / "lock", tmp_path):
        pass
    assert f"{tmp_path}: the file system has no locks (No locks available)" in caplog.text
