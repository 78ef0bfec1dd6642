"""Folders for compiled kernels and for files that danq can make again."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from danq._kernel_cache import kernel_folders
from danq.cache_folder import VARIABLE, accepts_files, lasting_cache_folder
from danq.diagnosis.report import Cache, Finding, size_text

_SAMPLE = 16 << 20
"""Bytes that are stored to measure the disk."""

_SLOW_DISK = 30e6
"""Bytes per second below which a disk is slow: an unpacked human genome then takes 100 s."""


def find_caches() -> list[Cache]:
    """The cache of compiled kernels, and danq's folder for other files."""
    folders = kernel_folders()
    files = [file for folder in folders for file in folder.glob("*.nbc")]
    shared = Path(os.path.commonpath(folders)) if folders else None
    kernels = _cache("compiled kernels", shared, files, writable=bool(folders))
    root = lasting_cache_folder("")
    return [kernels, _cache("genomes and others", root, _below(root), writable=root is not None)]


def cache_findings(caches: Iterable[Cache], disk: float | None) -> Iterator[Finding]:
    """Caches that cannot store files, and a slow disk."""
    kernels, others = caches
    remedy = f"Set the environment variable {VARIABLE} to a writable folder"
    if not kernels.writable:
        yield Finding(
            "slow", "compiled kernels cannot be stored, so each start compiles them again", remedy
        )
    if not others.writable:
        yield Finding(
            "slow", "the cache folder is not writable, so genomes are unpacked in each run", remedy
        )
    if disk is not None and disk < _SLOW_DISK:
        yield Finding(
            "slow",
            f"the disk of the cache folder stores {size_text(disk)}/s",
            f"Set the environment variable {VARIABLE} to a folder on a local disk",
        )


def disk_speed() -> float | None:
    """Bytes per second that danq's cache folder stores; None if it is not writable."""
    folder = lasting_cache_folder("")
    if folder is None or not accepts_files(folder):
        return None
    # Bytes that a file system cannot compress.
    data = os.urandom(_SAMPLE)
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            begun = time.perf_counter()
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            return _SAMPLE / (time.perf_counter() - begun)
    except OSError:
        return None


def _cache(content: str, path: Path | None, files: Iterable[Path], *, writable: bool) -> Cache:
    count = size = 0
    for file in files:
        with suppress(OSError):  # removed by another process
            size += file.stat().st_size
            count += 1
    return Cache(content, path, count, size, writable)


def _below(root: Path | None) -> Iterator[Path]:
    if root is not None:
        yield from (Path(folder, name) for folder, _, names in os.walk(root) for name in names)
