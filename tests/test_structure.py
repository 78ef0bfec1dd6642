"""Limits on the size of functions and files, and the order of packages on the architecture page."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAX_PARAMETERS, MAX_LINES, MAX_BODY = 12, 400, 80
MANY_PARAMETERS, MAX_WITH_MANY = 8, 6


def sources(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def trees(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    for path in sources(*folders):
        yield str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))


def functions(*folders: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for name, tree in trees(*folders):
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{name}:{node.lineno} {node.name}", node


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Number of parameters without self and cls; ``**options`` counts as none.

    So does the context that numba gives to an intrinsic function.
    """
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return sum(argument.arg not in ("self", "cls", "_context") for argument in named)


def test_functions_have_few_parameters():
    counts = {name: parameters(function) for name, function in functions("danq")}
    assert {name: n for name, n in counts.items() if n > MAX_PARAMETERS} == {}
    many = {name: n for name, n in counts.items() if n > MANY_PARAMETERS}
    assert len(many) <= MAX_WITH_MANY, many


def test_no_keywords_are_hidden_in_a_typed_dictionary():
    named = [
        name
        for name, tree in trees("danq")
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id in ("Unpack", "TypedDict")
    ]
    assert named == []


def test_files_and_functions_are_short():
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in sources("danq", "cli", "benchmarks")
    }
    assert {name: n for name, n in lengths.items() if n > MAX_LINES} == {}
    bodies = {}
    for name, function in functions("danq", "cli", "benchmarks"):
        documented = ast.get_docstring(function) is not None and len(function.body) > 1
        first = function.body[1 if documented else 0]
        bodies[name] = (function.end_lineno or 0) - first.lineno + 1
    assert {name: n for name, n in bodies.items() if n > MAX_BODY} == {}


@pytest.fixture
def allowed_imports() -> dict[str, set[str]]:
    """Imports between the packages of danq that tests/test_imports.py allows."""
    path = Path(__file__).with_name("test_imports.py")
    spec = importlib.util.spec_from_file_location("imports_test", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ARROWS


def test_the_architecture_page_lists_every_package_below_its_imports(allowed_imports):
    page = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    listed = [re.findall(r"`(\w+)/?`", row) for row in rows]
    level = {package: number for number, packages in enumerate(listed) for package in packages}
    assert set(allowed_imports) <= set(level)
    wrong = [
        f"{package} imports {other}"
        for package, others in allowed_imports.items()
        for other in others
        if level[other] > level[package]
    ]
    assert wrong == []
