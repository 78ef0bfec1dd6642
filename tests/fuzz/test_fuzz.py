"""Readers and damaged files: each file is read, or refused by name."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import ROOT
from tests.fuzz.campaign import LIMIT, READ, REFUSED, attempt, damaged
from tests.fuzz.mutations import mutate
from tests.fuzz.targets import TARGETS, make_seeds


@pytest.fixture(scope="module")
def seeds() -> dict[str, tuple[bytes, ...]]:
    return make_seeds()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged")


@contextmanager
def no_hang() -> Iterator[None]:
    """Stop a reader that does not end."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"not finished in {LIMIT} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, LIMIT)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("name", TARGETS)
def test_valid_files_are_read(name, seeds, folder):
    target = TARGETS[name]
    for data in seeds[name]:
        path = folder / f"damaged{target.suffix}"  # as the sample sheet names it
        path.write_bytes(data)
        assert attempt(target, path) == READ


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_files_are_read_or_refused_by_name(name, seeds, folder, capfd):
    target = TARGETS[name]
    path = folder / f"damaged{target.suffix}"

    @settings(
        max_examples=40,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(st.sampled_from(seeds[name]), st.randoms(use_true_random=False))
    def property(data: bytes, rng: random.Random) -> None:
        path.write_bytes(damaged(target, data, rng))
        with no_hang():
            assert attempt(target, path) in (READ, REFUSED)

    property()


def test_mutations_change_bytes():
    rng = random.Random(1)
    data = bytes(range(256)) * 4
    changed = [mutate(data, rng) for _ in range(300)]
    assert sum(one != data for one in changed) > 290
    assert len({len(one) for one in changed}) > 50


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_many_damaged_files(name):
    """The long form: 10,000 files, in processes with limits on time and memory."""
    command = [sys.executable, "-m", "tests.fuzz.campaign", "--cases", "10000", "--only", name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, done.stdout + done.stderr
