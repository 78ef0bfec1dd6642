from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from danq import cache_folder as module
from danq.cache_folder import cache_folder, lasting_cache_folder
from danq.errors import InputError

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch):
    for name in ("DANQ_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    module._temporary_root.cache_clear()
    yield
    module._temporary_root.cache_clear()


def test_variables_name_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder("index") == tmp_path / "home" / ".cache" / "danq" / "index"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder("index") == tmp_path / "home" / ".cache" / "danq" / "index"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder("index") == tmp_path / "xdg" / "danq" / "index"
    monkeypatch.setenv("DANQ_CACHE", str(tmp_path / "danq"))
    assert cache_folder("index") == tmp_path / "danq" / "index"


def test_a_relative_folder_stays_the_same_after_chdir(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DANQ_CACHE", "cache")
    folder = cache_folder("index")
    monkeypatch.chdir(ROOT)
    assert folder == tmp_path / "cache" / "index"
    assert folder.is_dir()


def home_is_unknown() -> Path:
    raise RuntimeError("Could not determine home directory.")


@pytest.mark.parametrize("home", ["missing", "unwritable"])
def test_without_a_home_files_go_to_a_temporary_folder(
    home: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setenv("HOME", "/proc/none")
    if home == "missing":
        monkeypatch.setattr(Path, "home", home_is_unknown)
    caplog.set_level("INFO", "danq")
    folder = cache_folder("index")
    assert folder.is_dir()
    assert cache_folder("fasta").parent == folder.parent
    assert lasting_cache_folder("numba") is None
    [text] = caplog.messages
    assert str(folder.parent) in text
    assert "DANQ_CACHE" in text


def test_the_temporary_folder_is_deleted_at_the_end():
    code = "from danq.cache_folder import cache_folder; print(cache_folder('index'))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"HOME": "/proc/none", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip().endswith("index")
    assert not Path(done.stdout.strip()).parent.exists()


def test_a_given_folder_that_is_not_writable_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", Path("/proc/none")):
        monkeypatch.setenv("DANQ_CACHE", str(folder))
        with pytest.raises(InputError, match=rf"{folder}.*Set the environment variable DANQ_CACHE"):
            cache_folder("index")
        assert lasting_cache_folder("numba") is None


def test_no_writable_folder_at_all_is_an_error(monkeypatch: pytest.MonkeyPatch):
    def nothing(**_: object) -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setenv("HOME", "/proc/none")
    monkeypatch.setattr(module.tempfile, "mkdtemp", nothing)
    with pytest.raises(InputError, match="no temporary folder is writable.*DANQ_CACHE"):
        cache_folder("index")
