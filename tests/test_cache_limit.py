"""The cache keeps what is used, and removes only what danq wrote to it."""

from __future__ import annotations

import fcntl
import gzip
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from danq import cache_limit
from danq.cache_limit import limit_cache, note_use, open_kept
from danq.genome import Genome
from danq.output.temporary_names import new_file, temporary_name

ROOT = Path(__file__).resolve().parents[1]
STAMP = "0123456789abcdef"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("DANQ_CACHE", str(folder))
    monkeypatch.setattr(cache_limit, "LIMIT", 1000)
    return folder


def add(file: Path, size: int, used: int) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(bytes(size))
    os.utime(file, (used, used))
    return file


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.rglob("*") if not file.is_dir()}


def test_what_was_used_least_recently_is_removed(cache, caplog):
    caplog.set_level("INFO", "danq")
    old = add(cache / "fasta" / f"a.{STAMP}.fa", 500, 10)
    index = add(cache / "fasta" / f"a.{STAMP}.fa.fai", 100, 20)
    other = add(cache / "index" / f"b.{STAMP}.gzi", 400, 30)
    leaked = add(cache / "leaked" / f"{'0' * 64}.npy", 300, 40)
    limit_cache()
    assert not old.exists()
    assert index.exists()
    assert other.exists()
    assert leaked.exists()
    (text,) = caplog.messages
    assert ": 5e-07 GB that were used least recently were removed" in text


def test_a_cache_within_the_limit_stays_as_it_is(cache, caplog):
    caplog.set_level("INFO", "danq")
    add(cache / "fasta" / f"a.{STAMP}.fa", 600, 10)
    add(cache / "index" / f"a.{STAMP}.fai", 400, 10)
    limit_cache()
    assert len(names(cache)) == 2
    assert caplog.messages == []


def test_a_use_is_noted_without_a_change_of_the_modification_time(cache):
    first = add(cache / "fasta" / f"a.{STAMP}.fa", 600, 10)
    second = add(cache / "fasta" / f"b.{STAMP}.fa", 600, 20)
    note_use(first)
    assert first.stat().st_mtime == 10
    limit_cache()
    assert first.exists()
    assert not second.exists()
    note_use(second)  # which is missing


@pytest.mark.parametrize(
    "name",
    [
        "fasta/genome.fa",
        "fasta/genome.123.fa",
        f"fasta/a.{STAMP}.fa.gz",
        f"fasta/.a.{STAMP}.fa.part",
        f"index/a.{STAMP}.txt",
        f"other/a.{STAMP}.fa",
        "leaked/results.npy",
        f"a.{STAMP}.fa",
    ],
)
def test_files_that_are_not_of_the_cache_are_kept_and_not_counted(cache, name):
    foreign = add(cache / name, 2000, 1)
    own = add(cache / "fasta" / f"own.{STAMP}.fa", 900, 5)
    limit_cache()
    assert foreign.stat().st_size == 2000
    assert own.exists()


def test_links_and_folders_are_kept(cache, tmp_path):
    target = add(tmp_path / "mine.fa", 2000, 1)
    folder = cache / "fasta"
    folder.mkdir(parents=True)
    (folder / f"link.{STAMP}.fa").symlink_to(target)
    (folder / f"folder.{STAMP}.fa").mkdir()
    limit_cache()
    assert target.exists()
    assert len(list(folder.iterdir())) == 2


def test_a_file_in_use_is_kept_until_it_is_closed(cache):
    used = add(cache / "fasta" / f"a.{STAMP}.fa", 800, 10)
    handle = open_kept(used)
    assert handle is not None
    os.utime(used, (1, 1))
    newer = add(cache / "fasta" / f"b.{STAMP}.fa", 800, 20)
    limit_cache()
    assert used.exists()
    assert not newer.exists()
    handle.close()
    newer = add(cache / "fasta" / f"b.{STAMP}.fa", 800, 20)
    limit_cache()
    assert not used.exists()
    assert newer.exists()


def test_a_file_in_use_by_another_process_is_kept(cache):
    used = add(cache / "fasta" / f"a.{STAMP}.fa", 2000, 10)
    code = (
        "import sys; from pathlib import Path; from danq.cache_limit import open_kept\n"
        "handle = open_kept(Path(sys.argv[1])); print('open', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(used)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert other.stdin is not None
    assert other.stdout is not None
    with other:
        assert other.stdout.readline() == "open\n"
        limit_cache()
        assert used.exists()
        other.stdin.close()
    limit_cache()
    assert not used.exists()


def test_without_locks_nothing_is_removed(cache, monkeypatch):
    def no_locks(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    used = add(cache / "fasta" / f"a.{STAMP}.fa", 2000, 10)
    monkeypatch.setattr(fcntl, "flock", no_locks)
    limit_cache()
    handle = open_kept(used)
    assert handle is not None
    handle.close()


def test_a_file_that_is_removed_while_it_is_opened_counts_as_missing(cache, monkeypatch):
    used = add(cache / "fasta" / f"a.{STAMP}.fa", 2000, 10)
    monkeypatch.setattr(fcntl, "flock", lambda *_: used.unlink())
    assert open_kept(used) is None
    assert open_kept(used) is None


def test_what_a_killed_process_left_is_removed(cache):
    folder = cache / "fasta"
    folder.mkdir(parents=True)
    left = temporary_name(folder / f"a.{STAMP}.fa")
    left.write_bytes(b"ACGT")
    with new_file(folder / f"b.{STAMP}.fa") as writing:
        limit_cache()
        assert writing.exists()
    assert not left.exists()


def genome(folder: Path, number: int) -> Path:
    path = folder / f"g{number}.fa.gz"
    path.write_bytes(gzip.compress(f">chr1\n{'ACGT'[number % 4] * 800}\n".encode()))
    return path


def first_base(path: Path) -> str:
    with Genome(path) as one:
        codes = one.codes("chr1")
    assert np.array_equal(codes, np.full(800, codes[0]))
    return "ACGT"[codes[0]]


def test_genomes_beyond_the_limit_are_unpacked_again(tmp_path, cache):
    paths = [genome(tmp_path, number) for number in range(3)]
    for _ in range(2):
        for number, path in enumerate(paths):
            assert first_base(path) == "ACGT"[number]
            assert any(name.startswith(path.name) for name in names(cache / "fasta"))
    assert len([name for name in names(cache / "fasta") if name.endswith(".fa")]) == 1


def test_a_genome_that_is_open_stays_readable(tmp_path, cache):
    with Genome(genome(tmp_path, 0)) as one:
        for number in (1, 2, 3):
            first_base(genome(tmp_path, number))
        assert "ACGT"[one.codes("chr1")[0]] == "A"
        assert any(name.startswith("g0.") for name in names(cache / "fasta"))


def work(paths: list[Path], seed: int) -> None:
    cache_limit.LIMIT = 1000
    for number in np.random.default_rng(seed).integers(0, len(paths), 40):
        assert first_base(paths[number]) == "ACGT"[number % 4]


def test_processes_that_share_a_full_cache_read_right(tmp_path):
    paths = [genome(tmp_path, number) for number in range(4)]
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=work, args=(paths, seed)) for seed in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * 4
