from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# As `danq` itself does: two test runs at once must not spin each other to a standstill.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with the real yeast data, named by DANQ_SHARED_DATA."""
    folder = Path(os.environ.get("DANQ_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "yeast").is_dir():
        pytest.skip(f"no real data at {folder}; set DANQ_SHARED_DATA")
    return folder


@pytest.fixture
def full_disk() -> Callable:
    """Make the system refuse files above a size, as it does on a full disk."""

    @contextmanager
    def limit(size: int) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limit
