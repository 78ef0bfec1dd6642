"""The folder of finished blocks, by itself."""

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
from danq.inference.variants import finished_blocks as parts_module
from danq.inference.variants.finished_blocks import Part, Parts, folder_of


class Stop(Exception):
    pass


def test_files_of_a_block_are_on_the_disk_before_the_journal_vouches_for_them(
    tmp_path, monkeypatch
):
    synced = []
    sync = os.fsync

    def fsync(number: int) -> None:
        synced.append((Path(os.readlink(f"/proc/self/fd/{number}")).name, journal.stat().st_size))
        sync(number)

    journal = folder_of(tmp_path / "a.tsv") / "journal.jsonl"
    rows = pl.DataFrame({"a": [1]})
    with Parts(tmp_path / "a.tsv", {}) as parts:
        before = journal.stat().st_size
        monkeypatch.setattr(os, "fsync", fsync)
        parts.add(Part({"rows": rows}, np.zeros((1, 2), np.float32), {"rows": 1}))
    after = journal.stat().st_size
    assert after > before
    names = ["000000.rows.arrow", "000000.values.npy", "a.tsv.unfinished", "journal.jsonl"]
    assert [name for name, _ in synced] == names
    assert [size for _, size in synced] == [before, before, before, after]


def add(out: Path, blocks: int) -> None:
    with Parts(out, {}) as parts:
        for _ in range(blocks):
            parts.add(Part({}, np.zeros((1, 2), np.float32), {"rows": 1}))


def test_an_interrupt_while_a_block_is_written_does_not_lose_it(tmp_path, monkeypatch, caplog):
    waited = parts_module.wait

    def interrupted(writing) -> None:
        monkeypatch.setattr(parts_module, "wait", waited)
        raise KeyboardInterrupt

    monkeypatch.setattr(parts_module, "wait", interrupted)
    with caplog.at_level("INFO", "danq"), pytest.raises(KeyboardInterrupt):
        add(tmp_path / "a.tsv", 2)
    assert "finished blocks are kept" in caplog.text
    with Parts(tmp_path / "a.tsv", {}, resume=True) as parts:
        assert parts.counts == [{"rows": 1}]


@pytest.mark.parametrize("blocks", [1, 2])
def test_a_disk_that_is_full_at_the_last_block(tmp_path, monkeypatch, caplog, blocks):
    folder, save = folder_of(tmp_path / "a.tsv"), np.save

    def full(path: Path, values: np.ndarray) -> None:
        if path.name.startswith(f"00000{blocks - 1}."):
            raise OSError(errno.ENOSPC, "No space left on device")
        save(path, values)

    monkeypatch.setattr(np, "save", full)
    told = pytest.raises(InputError, match="cannot be written: No space left on device")
    with caplog.at_level("INFO", "danq"), told:
        add(tmp_path / "a.tsv", blocks)
    assert folder.exists() == ("finished blocks are kept" in caplog.text) == (blocks > 1)


def test_two_processes_do_not_share_an_output(tmp_path):
    out = tmp_path / "a.tsv"
    with (
        Parts(out, {"a": "b"}),
        pytest.raises(InputError, match="another process is writing this output"),
    ):
        Parts(out, {"a": "b"}, resume=True)


def test_a_folder_is_locked_until_it_is_gone(tmp_path, monkeypatch):
    out = tmp_path / "a.tsv"
    remove = shutil.rmtree

    def rmtree(folder: Path, **options) -> None:
        with pytest.raises(InputError, match="another process is writing this output"):
            Parts(out, {"a": "b"}, resume=True)
        remove(folder, **options)

    with Parts(out, {"a": "b"}) as parts:
        monkeypatch.setattr(shutil, "rmtree", rmtree)
        parts.remove()
    assert not folder_of(out).exists()


def test_a_folder_that_was_removed_before_the_lock_was_had_is_made_again(tmp_path, monkeypatch):
    out = tmp_path / "a.tsv"
    lock, calls = fcntl.flock, []

    def flock(*given) -> None:
        if not calls:
            shutil.rmtree(folder_of(out))
        calls.append(given)
        lock(*given)

    monkeypatch.setattr(fcntl, "flock", flock)
    with Parts(out, {"a": "b"}) as parts:
        parts.add(Part({}, np.zeros((1, 2), np.float32), {"rows": 1}))
    assert len(calls) == 2
    with Parts(out, {"a": "b"}, resume=True) as parts:
        assert parts.counts == [{"rows": 1}]


def test_what_another_process_made_since_is_left_alone(tmp_path):
    out = tmp_path / "a.tsv"
    parts = Parts(out, {"a": "b"})
    parts.remove()
    other = Parts(out, {"c": "d"})
    parts.__exit__(Stop, Stop(), None)
    assert folder_of(out).exists()
    other.remove()


def test_a_strange_folder_is_not_touched(tmp_path):
    out = tmp_path / "a.tsv"
    folder_of(out).mkdir()
    (folder_of(out) / "thesis.txt").write_text("x")
    with pytest.raises(InputError, match="holds no unfinished run of danq"):
        Parts(out, {}, overwrite=True)
    (folder_of(out) / "journal.jsonl").write_text(json.dumps({"magic": "danq-parts"}) + "\n")
    with pytest.raises(InputError, match="written by another version"):
        Parts(out, {}, resume=True)
