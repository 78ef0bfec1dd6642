"""Kept memory: pages that were had once are not asked for again."""

from __future__ import annotations

import resource
import sys

import numpy as np
import pytest

from danq._memory import _glibc, kept_memory

PAGE = resource.getpagesize()
BYTES = 96 << 20


def faults() -> int:
    """Pages that the system had to give for one block of `BYTES`."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    # 8 bytes a value and no zeros asked for, so that the block comes from malloc.
    np.empty(BYTES // 8).fill(1.0)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(_glibc() is None, reason="kept memory is glibc's")
def test_a_block_is_had_again_without_new_pages():
    huge = BYTES // (2 << 20)
    assert faults() >= huge
    with kept_memory():
        faults()
        with kept_memory():
            assert faults() < huge // 4
        assert faults() < huge // 4
    faults()
    assert faults() >= huge


def test_elsewhere_nothing_happens(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert _glibc() is None
    with kept_memory():
        pass
