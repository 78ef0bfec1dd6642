"""Run a notebook, and write its page: text, code, printed results and plots.

    python docs/_site/notebook.py FOLDER docs/notebooks/*.py

A notebook is a script in cells, which Jupyter opens through jupytext. FOLDER takes the files that
the notebooks write; notebooks share it. The page and its plots are written beside the script.
"""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure

PIXELS = 72


class Cell(NamedTuple):
    """A cell: code, or text in Markdown."""

    text: str
    is_code: bool


def cells(script: Path) -> Iterator[Cell]:
    """The cells of a script in jupytext's percent format."""
    parts = re.split(r"^# %%(.*)$", script.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    for kind, content in zip(parts[::2], parts[1::2], strict=True):
        if "[markdown]" in kind:
            lines = [line.removeprefix("#").removeprefix(" ") for line in content.splitlines()]
            yield Cell("\n".join(lines).strip(), False)
        else:
            yield Cell(content.strip(), True)


def run_cell(code: str, names: dict[str, Any]) -> tuple[str, Any]:
    """Run a cell; what it printed, and the value of its last line if that is an expression."""
    body = ast.parse(code).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(ast.Module(body, []), "cell", "exec"), names)
        value = None
        if last is not None:
            value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    return printed.getvalue(), value


def page(script: Path) -> str:
    """Run a notebook in the current folder, and return its page; plots are written beside it."""
    names: dict[str, Any] = {"__name__": "__main__"}
    name, plots = script.stem, 0
    parts = []
    for cell in cells(script):
        if not cell.is_code:
            parts.append(cell.text)
            continue
        parts.append(
            f"<!-- not run: {name}.py is tested as a whole -->\n```python\n{cell.text}\n```"
        )
        printed, value = run_cell(cell.text, names)
        if isinstance(value, Figure):
            plots += 1
            file = script.with_name(f"{name}-{plots}.png")
            value.savefig(file, dpi=PIXELS)
            parts.append(f"![{name}, plot {plots}]({file.name})")
        elif value is not None:
            printed += f"{value}\n"
        if printed:
            parts.append(f"```text\n{printed.rstrip()}\n```")
    source = f"This page was written by running [{name}.py]({name}.py), a notebook of jupytext."
    return "\n\n".join([*parts, source]) + "\n"


def main() -> None:
    """Run notebooks, one after the other, and write their pages."""
    folder, *scripts = (Path(argument).resolve() for argument in sys.argv[1:])
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    for script in scripts:
        script.with_suffix(".md").write_text(page(script), encoding="utf-8")


if __name__ == "__main__":
    main()
