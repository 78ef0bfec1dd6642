"""Commands in processes with closed streams, no home directory, or invalid variables."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from danq_cli import environment

ROOT = Path(__file__).resolve().parents[2]
MAIN = "import sys; from danq_cli.main import main; sys.argv = ['danq', '--version']; main()"
PRINT = "from danq_cli.environment import prepare; prepare(); print('\\u00df \\udcff')"


def shell(redirections: str, code: str = MAIN, **variables: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["bash", "-c", f'exec "$0" -c "$1" {redirections}', sys.executable, code],
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_no_error(closed: str):
    done = shell(closed)
    assert done.returncode == 0
    assert done.stderr == b""


def test_an_opened_file_never_has_the_number_of_a_stream(tmp_path: Path):
    code = f"""
import os
from danq_cli.environment import prepare
prepare()
with open({str(tmp_path / "out")!r}, "w") as file:
    os.write(1, b"printed by a library")
    file.write(str(file.fileno()))
"""
    assert shell("<&- >&- 2>&-", code).returncode == 0
    assert int((tmp_path / "out").read_text()) > 2


def test_names_outside_the_encoding_are_escaped():
    done = shell("", PRINT, PYTHONIOENCODING="ascii", LC_ALL="C")
    assert done.returncode == 0
    assert done.stdout == b"\\xdf \\udcff\n"


@pytest.mark.parametrize("text", ["abc", "0", "-3", "2.5", "1e3", "4,", "²"])
@pytest.mark.parametrize("name", environment.COUNTS)
def test_an_invalid_number_of_threads_is_ignored_with_a_warning(
    name: str, text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.setenv(name, text)
    environment.ignore_invalid_counts()
    assert name not in os.environ
    assert f"{name} is '{text}'" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["1", "16", " 2 ", "4,2"])
def test_a_number_of_threads_is_kept(
    text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    environment.ignore_invalid_counts()
    assert os.environ["OMP_NUM_THREADS"] == text
    assert capsys.readouterr().err == ""


def test_an_empty_variable_counts_as_not_given(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.setenv("NUMBA_NUM_THREADS", "")
    environment.ignore_invalid_counts()
    assert "NUMBA_NUM_THREADS" not in os.environ
    assert capsys.readouterr().err == ""


def test_libraries_never_see_an_invalid_number():
    code = """
from danq_cli.environment import prepare
prepare()
import numba, polars, torch
assert polars.Series([1, 2]).sum() == 3
"""
    variables = dict.fromkeys(environment.COUNTS, "0")
    done = shell("", code, **variables)
    assert done.returncode == 0
    assert done.stderr.count(b"warning") == len(environment.COUNTS)
    assert b"libgomp" not in done.stderr


def test_matplotlib_uses_the_cache_folder_without_a_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.delenv("MPLCONFIGDIR", raising=False)
    monkeypatch.setenv("HOME", "/proc/none")
    monkeypatch.setenv("DANQ_CACHE", str(tmp_path))
    environment.place_matplotlib()
    assert os.environ["MPLCONFIGDIR"] == str(tmp_path / "matplotlib")
    monkeypatch.setenv("MPLCONFIGDIR", "given")
    environment.place_matplotlib()
    assert os.environ["MPLCONFIGDIR"] == "given"


@pytest.mark.parametrize("given", [{}, {"LRU_CACHE_CAPACITY": "7"}])
def test_compiled_products_are_kept_for_few_shapes(given: dict[str, str]):
    names = ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY")
    unset = "import os\nfor name in os.environ.get('UNSET', '').split(): del os.environ[name]\n"
    show = f"import atexit, os\natexit.register(lambda: print(*map(os.environ.get, {names})))\n"
    present = " ".join(name for name in names if name in os.environ and name not in given)
    done = shell("", unset + show + MAIN, UNSET=present, **given)
    assert done.stdout.decode().splitlines()[-1].split() == [given.get(names[0], "64"), "64"]
