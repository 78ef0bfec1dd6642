from __future__ import annotations

import importlib.util
import os
import resource
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import settings

# As `danq` itself does: two test runs at once must not spin each other to a standstill.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

# Shells start background jobs with SIGINT ignored, and tests interrupt themselves.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine makes one example slow now and then.
settings.register_profile("danq", deadline=None)
settings.load_profile("danq")

# Without a card, GPU kernels run in Triton's interpreter, which must be chosen before torch loads
# Triton.
if not Path("/dev/nvidiactl").exists():
    os.environ.setdefault("TRITON_INTERPRET", "1")

ROOT = Path(__file__).resolve().parents[1]


def pytest_configure() -> None:
    """Refuse to run without what the environment names: no test may skip it."""
    for variable, find in (
        ("DANQ_TEST_PROGRAMS", shutil.which),
        ("DANQ_TEST_LIBRARIES", importlib.util.find_spec),
    ):
        missing = [name for name in os.environ.get(variable, "").split() if not find(name)]
        if missing:
            raise pytest.UsageError(f"not installed: {', '.join(missing)} ({variable})")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with the real yeast data, named by DANQ_SHARED_DATA."""
    folder = Path(os.environ.get("DANQ_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "yeast").is_dir():
        pytest.skip(f"no real data at {folder}; set DANQ_SHARED_DATA")
    return folder


@pytest.fixture(scope="session")
def write_deepsea_files() -> Callable[..., list[Path]]:
    """Writes train.mat, valid.mat and test.mat of DeepSEA's layout."""
    path = ROOT / "benchmarks" / "studies" / "deepsea_files.py"
    spec = importlib.util.spec_from_file_location("deepsea_files", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.write_deepsea_files


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


@pytest.fixture
def pipe_with() -> Callable:
    """Give the path of an anonymous pipe with some bytes, as a shell's <(...) does."""

    @contextmanager
    def make(data: bytes) -> Iterator[Path]:
        end, begin = os.pipe()

        def fill() -> None:
            with suppress(BrokenPipeError), os.fdopen(begin, "wb") as writer:
                writer.write(data)

        thread = threading.Thread(target=fill, daemon=True)
        thread.start()
        try:
            yield Path(f"/dev/fd/{end}")
        finally:
            os.close(end)
            thread.join()

    return make
