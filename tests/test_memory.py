"""Kept memory: pages of freed blocks are used again without new requests to the system."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading

import numpy as np
import pytest

from danq import _memory
from danq._memory import _glibc, kept_memory

PAGE = resource.getpagesize()
BYTES = 96 << 20
needs_glibc = pytest.mark.skipif(_glibc() is None, reason="kept memory is a setting of glibc")


def faults() -> int:
    """Pages that the system provides for one block of `BYTES`."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    # 8 bytes per value and no zeros requested, so that the block comes from malloc.
    np.empty(BYTES // 8).fill(1.0)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@needs_glibc
def test_a_block_is_allocated_again_without_new_pages():
    huge = BYTES // (2 << 20)
    assert faults() >= huge
    with kept_memory():
        faults()
        with kept_memory():
            assert faults() < huge // 4
        assert faults() < huge // 4
    faults()
    assert faults() >= huge


ALLOCATE = """
import ctypes, resource
from danq._memory import kept_memory
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = libc.malloc(8 << 20)
    ctypes.memset(block, 1, 8 << 20)
    libc.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
print(faults())
with kept_memory():
    faults()
faults()
print(faults())
"""


@needs_glibc
@pytest.mark.parametrize(
    "environment",
    [
        {"MALLOC_MMAP_THRESHOLD_": "1048576"},
        {"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=0x100000:glibc.malloc.trim_threshold=4096"},
        {"MALLOC_TRIM_THRESHOLD_": "131072"},
    ],
)
def test_thresholds_of_the_environment_are_restored(environment):
    done = subprocess.run(
        [sys.executable, "-c", ALLOCATE],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | environment,
    )
    before, after = map(int, done.stdout.split())
    # Blocks of 8 MB return to the system when freed, as before.
    pages = (8 << 20) // PAGE
    assert before >= pages // 2
    assert after >= pages // 2


@pytest.mark.parametrize(
    ("text", "trim"),
    [
        ("0400000", 131072),
        ("0x20000", 131072),
        ("131072", 131072),
        ("0", 0),
        ("089", None),
        ("-1", None),
        ("", None),
    ],
)
def test_thresholds_are_read_as_glibc_reads_them(text, trim):
    found = _memory._thresholds({"MALLOC_TRIM_THRESHOLD_": text})
    assert found == (
        _memory._LARGEST_ADAPTED if trim is None else _memory._DEFAULT._replace(trim=trim)
    )


class SlowMalloc:
    """A C library that records its settings and lets other threads run in between."""

    def __init__(self) -> None:
        self.maps = 65536
        self.restoring = threading.Event()

    def mallopt(self, parameter: int, value: int) -> None:
        if parameter == _memory._MMAP_MAX:
            if value:
                self.restoring.set()
                entered.wait(timeout=0.5)
            self.maps = value

    def malloc_trim(self, pad: int) -> None:
        pass


entered = threading.Event()


def test_a_thread_that_starts_while_another_ends_keeps_its_memory(monkeypatch):
    libc = SlowMalloc()
    entered.clear()
    monkeypatch.setattr(_memory, "_glibc", lambda: libc)
    seen = []

    def second() -> None:
        libc.restoring.wait(timeout=60)
        with kept_memory():
            entered.set()
            first.join()
            seen.append(libc.maps)

    other = threading.Thread(target=second)
    first = threading.Thread(target=lambda: kept_memory()(lambda: None)())
    other.start()
    first.start()
    other.join()
    assert seen == [0]
    assert libc.maps == 65536


def test_other_systems_change_nothing(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert _glibc() is None
    with kept_memory():
        pass
