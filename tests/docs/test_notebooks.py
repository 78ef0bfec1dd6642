"""The notebooks run, what they say holds, and their pages show the same code."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "docs" / "notebooks"
FIRST = "train_and_evaluate"
OTHERS = sorted(path.stem for path in NOTEBOOKS.glob("*.py") if path.stem != FIRST)


def load_tool():
    spec = importlib.util.spec_from_file_location("notebook", ROOT / "docs/_site/notebook.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["notebook"] = module
    spec.loader.exec_module(module)
    return module


def run(name: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, str(NOTEBOOKS / f"{name}.py")],
        cwd=folder,
        env={**os.environ, "MPLBACKEND": "Agg", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Folder in which the first notebook ran; others use its files."""
    folder = tmp_path_factory.mktemp("notebooks")
    run(FIRST, folder)
    return folder


def test_the_first_notebook_writes_what_others_read(folder: Path):
    assert (folder / "run" / "model.safetensors").is_file()
    assert (folder / "sim" / "variants.vcf").is_file()


# Each notebook asserts what its text says.
@pytest.mark.parametrize("name", OTHERS)
def test_a_notebook_runs_and_what_it_says_holds(name: str, folder: Path):
    run(name, folder)


@pytest.mark.parametrize("name", [FIRST, *OTHERS])
def test_the_page_has_the_cells_of_the_notebook(name: str):
    script, page = NOTEBOOKS / f"{name}.py", (NOTEBOOKS / f"{name}.md").read_text()
    found = list(load_tool().cells(script))
    assert sum(cell.is_code for cell in found) >= 4
    assert "assert " in script.read_text()
    for cell in found:
        assert (f"```python\n{cell.text}\n```" if cell.is_code else cell.text) in page
    plots = sorted(path.name for path in NOTEBOOKS.glob(f"{name}-*.png"))
    assert plots
    assert all(f"]({plot})" in page for plot in plots)
    assert all((NOTEBOOKS / plot).stat().st_size < 100_000 for plot in plots)


def test_printed_text_and_the_last_value_of_a_cell_are_shown():
    tool = load_tool()
    names: dict = {}
    assert tool.run_cell("a = 2\nprint('b')\na + 1", names) == ("b\n", 3)
    assert tool.run_cell("a = 5", names) == ("", None)
    assert names["a"] == 5
