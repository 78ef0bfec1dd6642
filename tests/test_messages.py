"""Messages of the library do not name options of the command line, which it does not know."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import danq

PACKAGE = Path(danq.__file__).parent
OPTION = re.compile(r"(?<![\w-])--[a-z]")


def messages(source: str) -> Iterator[str]:
    """String constants of a module except its docstrings."""
    tree = ast.parse(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in docstrings:
            yield str(node.value)


def test_no_message_names_an_option_of_the_command_line():
    found = [
        f"{path.relative_to(PACKAGE)}: {text}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for text in messages(path.read_text(encoding="utf-8"))
        if OPTION.search(text)
    ]
    assert found == []
