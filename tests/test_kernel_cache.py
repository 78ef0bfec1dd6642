"""Compiled code on disk: folders that are not writable, damaged files, several processes."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numba
import numpy as np
import pytest

from danq import _kernel_cache
from danq.progress import COMPILING, watch_progress

ROOT = Path(__file__).resolve().parents[1]
SOURCE = """
from danq._jit import kernel

@kernel
def total(values):
    sum_ = values.dtype.type(0)
    for value in values:
        sum_ += value
    return sum_
"""


@pytest.fixture(autouse=True)
def fresh_folders(monkeypatch: pytest.MonkeyPatch):
    """No folder is remembered, and the notice was not shown."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    _kernel_cache._folder.cache_clear()
    _kernel_cache._once.cache_clear()
    yield
    _kernel_cache._folder.cache_clear()
    _kernel_cache._once.cache_clear()


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "package" / "sums.py"
    path.parent.mkdir()
    path.write_text(SOURCE)
    monkeypatch.syspath_prepend(path.parent)
    yield path
    sys.modules.pop(path.stem, None)


def imported(path: Path) -> ModuleType:
    """Import a file anew, as another process does."""
    sys.modules.pop(path.stem, None)
    importlib.invalidate_caches()
    return importlib.import_module(path.stem)


def hits(path: Path, values: np.ndarray) -> int:
    """Load a kernel, check its result, and return how often it was found on disk."""
    kernel = imported(path).total
    assert kernel(values) == values.sum()
    return sum(kernel.stats.cache_hits.values())


def stored(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.nbc"))


def unwritable(monkeypatch: pytest.MonkeyPatch, *folders: Path) -> None:
    """Make folders refuse new files, for root as well."""
    accepts = _kernel_cache.accepts_files

    def refuse(folder: Path) -> bool:
        return not any(folder.is_relative_to(one) for one in folders) and accepts(folder)

    monkeypatch.setattr(_kernel_cache, "accepts_files", refuse)


def test_code_is_stored_beside_the_module_and_found_again(source: Path):
    values = np.arange(5.0)
    assert hits(source, values) == 0
    assert len(stored(source.parent / "__pycache__")) == 1
    assert hits(source, values) == 1


def test_each_signature_has_a_file(source: Path):
    for dtype in (np.float64, np.int64, np.uint8):
        assert hits(source, np.arange(5, dtype=dtype)) == 0
    assert len(stored(source.parent)) == 3
    for dtype in (np.float64, np.int64, np.uint8):
        assert hits(source, np.arange(5, dtype=dtype)) == 1


@pytest.mark.parametrize("kind", ["empty", "cut", "garbage", "flipped", "zeros", "folder"])
def test_a_damaged_file_is_compiled_again(source: Path, kind: str):
    values = np.arange(5.0)
    hits(source, values)
    [file] = stored(source.parent)
    whole = file.read_bytes()
    middle = len(whole) // 2
    if kind == "folder":
        file.unlink()
        file.mkdir()
    else:
        file.write_bytes(
            {
                "empty": b"",
                "cut": whole[:middle],
                "garbage": b"garbage",
                "flipped": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
                "zeros": whole[:middle] + bytes(len(whole) - middle),
            }[kind]
        )
    assert hits(source, values) == 0
    if kind != "folder":
        assert hits(source, values) == 1


def test_numbas_own_index_is_not_read(source: Path):
    (source.parent / "__pycache__").mkdir()
    (source.parent / "__pycache__" / "sums.total-4.py311.nbi").write_bytes(b"garbage")
    assert hits(source, np.arange(5.0)) == 0


def test_code_of_another_cpu_is_not_loaded(source: Path, monkeypatch: pytest.MonkeyPatch):
    values = np.arange(5.0)
    hits(source, values)
    key = _kernel_cache._KernelCache._index_key

    def other(self, sig, codegen):
        _, (triple, _, _), code = key(self, sig, codegen)
        return sig, (triple, "another-cpu", "+sve"), code

    with monkeypatch.context() as patch:
        patch.setattr(_kernel_cache._KernelCache, "_index_key", other)
        assert hits(source, values) == 0
    # Neither has replaced the file of the other.
    assert len(stored(source.parent)) == 2
    assert hits(source, values) == 1


def test_a_file_with_the_name_of_another_key_is_not_loaded(source: Path):
    """Renamed, as the index of another cache could do when two processes write it."""
    values = np.arange(5.0)
    hits(source, values.astype(np.int64))
    [whole] = stored(source.parent)
    hits(source, values)
    [floats] = set(stored(source.parent)) - {whole}
    floats.write_bytes(whole.read_bytes())
    assert hits(source, values) == 0


@pytest.mark.parametrize("what", ["danq", "numba", "source"])
def test_another_version_is_compiled_again(
    source: Path, monkeypatch: pytest.MonkeyPatch, what: str
):
    values = np.arange(5.0)
    hits(source, values)
    if what == "danq":
        monkeypatch.setattr(_kernel_cache, "__version__", "0.0")
    elif what == "numba":
        monkeypatch.setattr(numba, "__version__", "0.0")
    else:
        source.write_text(SOURCE.replace("+= value", "+= value * values.dtype.type(1)"))
    assert hits(source, values) == 0


def test_a_read_only_package_uses_the_cache_folder(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    unwritable(monkeypatch, source.parent)
    monkeypatch.setenv("DANQ_CACHE", str(tmp_path / "cache"))
    assert hits(source, np.arange(5.0)) == 0
    assert stored(source.parent) == []
    assert len(stored(tmp_path / "cache" / "numba")) == 1
    assert hits(source, np.arange(5.0)) == 1


def test_numbas_variable_comes_first(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "given"))
    hits(source, np.arange(5.0))
    assert str(tmp_path / "given") == numba.config.CACHE_DIR  # pyright: ignore[reportAttributeAccessIssue]
    assert len(stored(tmp_path / "given")) == 1
    assert stored(source.parent) == []


def test_no_writable_folder_is_one_notice(
    source: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    unwritable(monkeypatch, source.parent)
    monkeypatch.setenv("DANQ_CACHE", "/proc/none")
    caplog.set_level("INFO", "danq")
    for _ in range(2):
        assert hits(source, np.arange(5.0)) == 0
    [text] = caplog.messages
    assert "no folder for it is writable" in text
    assert "DANQ_CACHE" in text


def test_a_full_disk_is_one_notice(
    source: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    kernel = imported(source).total
    monkeypatch.setattr(_kernel_cache._KernelFiles, "save", full)
    caplog.set_level("INFO", "danq")
    assert kernel(np.arange(5.0)) == 10
    assert kernel(np.arange(5)) == 10
    [text] = caplog.messages
    assert "No space left on device" in text
    assert stored(source.parent) == []


def test_many_processes_compile_at_once(source: Path):
    code = """
import numpy as np, sums
for dtype in (np.float64, np.int64):
    assert sums.total(np.arange(5, dtype=dtype)) == 10
"""
    path = os.pathsep.join(map(str, (ROOT, source.parent)))
    environment = {**os.environ, "PYTHONPATH": path}
    environment.pop("NUMBA_CACHE_DIR", None)
    running = [subprocess.Popen([sys.executable, "-c", code], env=environment) for _ in range(4)]
    assert [process.wait() for process in running] == [0] * 4
    assert {file.suffix for file in (source.parent / "__pycache__").iterdir()} <= {".nbc", ".pyc"}
    assert hits(source, np.arange(5.0)) == 1
    assert hits(source, np.arange(5)) == 1


def test_kernels_of_another_package_are_stored(source: Path):
    source.write_text(
        SOURCE.replace("from danq._jit import kernel", "from numba import njit as kernel")
    )
    assert hits(source, np.arange(5.0)) == 0
    assert stored(source.parent) == []
    for found in (0, 1):
        kernel = imported(source).total
        _kernel_cache.store_kernels_of("sums")
        cache = kernel._cache
        _kernel_cache.store_kernels_of("sums")
        assert kernel._cache is cache
        assert kernel(np.arange(5.0)) == 10
        assert sum(kernel.stats.cache_hits.values()) == found


def test_compiling_is_a_stage(source):
    seen = []
    with watch_progress(lambda stage, event: seen.append((stage.name, event))):
        for dtype in (np.float64, np.int64):
            hits(source, np.arange(5, dtype=dtype))
        name = COMPILING
        assert seen == [(name, "begin"), (name, "end")] * 2
        assert hits(source, np.arange(5.0)) == 1
    assert len(seen) == 4
