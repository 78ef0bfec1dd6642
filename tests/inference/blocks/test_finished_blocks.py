"""The folder of finished blocks, without a model."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from danq.errors import InputError
from danq.file_lock import FileLock
from danq.inference.blocks import FinishedBlock, FinishedBlocks
from danq.inference.blocks import finished_blocks as module
from danq.inference.blocks import folder as block_folder
from danq.inference.blocks.folder import folder_of
from danq.provenance import Provenance

ONE, OTHER = (Provenance(settings={"strand": strand}) for strand in ("both", "forward"))


class Stop(Exception):
    pass


def test_files_of_a_block_are_synced_before_its_journal_entry(tmp_path, monkeypatch):
    synced = []
    sync = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(
            (Path(os.readlink(f"/proc/self/fd/{descriptor}")).name, journal.stat().st_size)
        )
        sync(descriptor)

    journal = folder_of(tmp_path / "a.tsv") / "journal.jsonl"
    rows = pl.DataFrame({"a": [1]})
    with FinishedBlocks(tmp_path / "a.tsv", ONE, kind="variants") as finished:
        before = journal.stat().st_size
        monkeypatch.setattr(os, "fsync", fsync)
        finished.add(
            FinishedBlock({"rows": rows}, {"values": np.zeros((1, 2), np.float32)}, {"rows": 1})
        )
    after = journal.stat().st_size
    assert after > before
    names = ["000000.rows.arrow", "000000.values.npy", "a.tsv.unfinished", "journal.jsonl"]
    assert [name for name, _ in synced] == names
    assert [size for _, size in synced] == [before, before, before, after]


def add(out: Path, blocks: int) -> None:
    with FinishedBlocks(out, ONE, kind="variants") as finished:
        for _ in range(blocks):
            finished.add(FinishedBlock({}, {"values": np.zeros((1, 2), np.float32)}, {"rows": 1}))


def test_a_block_survives_an_interrupt_while_it_is_written(tmp_path, monkeypatch, caplog):
    wait = module.wait

    def interrupted(writing) -> None:
        monkeypatch.setattr(module, "wait", wait)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "wait", interrupted)
    with caplog.at_level("INFO", "danq"), pytest.raises(KeyboardInterrupt):
        add(tmp_path / "a.tsv", 2)
    assert "completed blocks are kept" in caplog.text
    with FinishedBlocks(tmp_path / "a.tsv", ONE, kind="variants", resume=True) as finished:
        assert finished.counts == [{"rows": 1}]


@pytest.mark.parametrize("blocks", [1, 2])
def test_a_full_disk_keeps_completed_blocks(tmp_path, monkeypatch, caplog, blocks):
    folder, write = folder_of(tmp_path / "a.tsv"), module.write_new

    def full(path: Path, content: memoryview) -> None:
        if path.name.startswith(f"00000{blocks - 1}."):
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, content)

    monkeypatch.setattr(module, "write_new", full)
    refused = pytest.raises(InputError, match="cannot be written: No space left on device")
    with caplog.at_level("INFO", "danq"), refused:
        add(tmp_path / "a.tsv", blocks)
    assert folder.exists() == ("completed blocks are kept" in caplog.text) == (blocks > 1)


def test_a_second_process_cannot_write_the_same_output(tmp_path):
    out = tmp_path / "a.tsv"
    with (
        FinishedBlocks(out, ONE, kind="variants"),
        pytest.raises(InputError, match="another process is writing this output"),
    ):
        FinishedBlocks(out, ONE, kind="variants", resume=True)


def test_the_folder_is_locked_until_it_is_removed(tmp_path, monkeypatch):
    out = tmp_path / "a.tsv"
    rename, tried = os.rename, []

    def renamed(folder: Path, other: Path) -> None:
        tried.append(folder)
        with pytest.raises(InputError, match="another process is writing this output"):
            FinishedBlocks(out, ONE, kind="variants", resume=True)
        rename(folder, other)

    with FinishedBlocks(out, ONE, kind="variants") as finished:
        monkeypatch.setattr(os, "rename", renamed)
        finished.remove()
    assert tried == [folder_of(out)]
    assert not list(tmp_path.iterdir())


def test_a_folder_removed_before_it_is_locked_is_created_again(tmp_path, monkeypatch):
    out = tmp_path / "a.tsv"
    add(out, 1)
    lock, calls = module.FileLock, []

    def late(*arguments: Path) -> FileLock:
        if not calls:
            shutil.rmtree(folder_of(out))
        calls.append(arguments)
        return lock(*arguments)

    monkeypatch.setattr(module, "FileLock", late)
    with FinishedBlocks(out, ONE, kind="variants", resume=True) as finished:
        assert finished.counts == []
        finished.add(FinishedBlock({}, {"values": np.zeros((1, 2), np.float32)}, {"rows": 1}))
    assert len(calls) == 1
    with FinishedBlocks(out, ONE, kind="variants", resume=True) as finished:
        assert finished.counts == [{"rows": 1}]


def test_the_folder_of_another_process_is_not_removed(tmp_path, caplog):
    out = tmp_path / "a.tsv"
    finished = FinishedBlocks(out, ONE, kind="variants")
    finished.remove()
    finished.remove()
    other = FinishedBlocks(out, OTHER, kind="variants")
    finished.remove()
    assert not caplog.records
    finished.__exit__(Stop, Stop(), None)
    assert folder_of(out).exists()
    other.remove()


def test_a_folder_with_other_files_is_refused(tmp_path):
    out = tmp_path / "a.tsv"
    folder_of(out).mkdir()
    (folder_of(out) / "thesis.txt").write_text("x")
    with pytest.raises(InputError, match="is not an unfinished run of danq"):
        FinishedBlocks(out, ONE, kind="variants", overwrite=True)
    (folder_of(out) / "journal.jsonl").write_text(json.dumps({"magic": "danq-blocks"}) + "\n")
    with pytest.raises(InputError, match="written by another version"):
        FinishedBlocks(out, ONE, kind="variants", resume=True)
    assert (folder_of(out) / "thesis.txt").read_text() == "x"


@pytest.mark.parametrize("number", [errno.ENOTSUP, errno.ENOLCK, errno.ENOSYS, errno.EACCES])
def test_a_file_system_without_locks_is_a_warning(tmp_path, monkeypatch, caplog, number: int):
    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    out = tmp_path / "a.tsv"
    with FinishedBlocks(out, ONE, kind="variants") as finished:
        finished.add(FinishedBlock({}, {"values": np.zeros((1, 2), np.float32)}, {"rows": 1}))
    [text] = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert str(folder_of(out)) in text
    assert os.strerror(number) in text
    with FinishedBlocks(out, ONE, kind="variants", resume=True) as finished:
        assert [dict(counts) for counts in finished.counts] == [{"rows": 1}]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_that_flushes_no_directories_is_no_error(tmp_path, monkeypatch, number: int):
    sync = os.fsync

    def fsync(descriptor: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(number, os.strerror(number))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with FinishedBlocks(tmp_path / "a.tsv", ONE, kind="variants") as finished:
        finished.add(FinishedBlock({}, {"values": np.zeros((1, 2), np.float32)}, {"rows": 1}))
        assert len(finished.counts) == 1


def test_a_file_that_nfs_keeps_open_leaves_no_folder(tmp_path, monkeypatch):
    out = tmp_path / "a.tsv"
    delete = block_folder._delete_files

    def deleted(folder: Path) -> None:
        delete(folder)
        (folder / ".nfs01").touch()

    close = FileLock.close

    def closed(lock: FileLock) -> None:
        for kept in tmp_path.glob(".*/.nfs01"):
            kept.unlink()
        close(lock)

    with FinishedBlocks(out, ONE, kind="variants") as finished:
        monkeypatch.setattr(block_folder, "_delete_files", deleted)
        monkeypatch.setattr(FileLock, "close", closed)
        finished.remove()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_resume_continues_after_the_block_before_a_missing_file(tmp_path, lost):
    out = tmp_path / "a.tsv"
    with FinishedBlocks(out, ONE, kind="variants") as finished:
        for value in range(3):
            finished.add(
                FinishedBlock({}, {"values": np.full((1, 2), value, np.float32)}, {"rows": value})
            )
    (folder_of(out) / f"00000{lost}.values.npy").unlink()
    with FinishedBlocks(out, ONE, kind="variants", resume=True) as finished:
        assert finished.counts == [{"rows": value} for value in range(lost)]
