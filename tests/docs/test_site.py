"""The navigation of the site, in mkdocs.yml. `mkdocs build --strict` checks the links."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_navigation_lists_every_page_once():
    configuration = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    listed = re.findall(r": ([\w./-]+\.md)$", configuration.partition("\nnav:\n")[2], re.MULTILINE)
    docs = ROOT / "docs"
    written = {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")}
    studies = {f"studies/{path.name}" for path in ROOT.glob("benchmarks/studies/*.md")}
    recipes = {f"recipes/{path.parent.name}.md" for path in ROOT.glob("data/recipes/*/README.md")}
    made = {"commands.md", *(f"reference/danq{name}.md" for name in ("", ".core", ".vision"))}
    moved = {"index.md", "changelog.md", "data.md"}
    assert sorted(listed) == sorted(written | studies | recipes | made | moved)


def test_nothing_is_loaded_from_the_network():
    configuration = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert "font: false" in configuration
    assert "://" not in configuration
