"""What MkDocs runs: adds pages from elsewhere in the repository, and pages made from the package.

Pages of the repository outside docs/ are part of the site, and links between all pages work both in
the repository and in the site. The pages of commands and of Python names are made from the package.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

import command_page
import python_pages
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]

_LINK = re.compile(r"(!?\[[^\]]*\]\()([^)#\s]+)(#[^)\s]*)?\)")


def outside_pages() -> Iterator[tuple[str, str]]:
    """Markdown files outside docs/, relative to the repository, and their pages in the site."""
    yield "README.md", "index.md"
    yield "CHANGELOG.md", "changelog.md"
    yield "data/README.md", "data.md"
    for path in sorted(ROOT.glob("benchmarks/studies/*.md")):
        yield f"benchmarks/studies/{path.name}", f"studies/{path.name}"
    for path in sorted(ROOT.glob("data/recipes/*/README.md")):
        yield f"data/recipes/{path.parent.name}/README.md", f"recipes/{path.parent.name}.md"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add pages from elsewhere and pages that are made from the package."""
    for source, page in outside_pages():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    files.append(File.generated(config, "commands.md", content=command_page.markdown()))
    for page, text in python_pages.pages():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links of the repository to the pages of the site."""
    sources = {page: source for source, page in outside_pages()}
    pages = dict(outside_pages())
    here = page.file.src_uri
    source_folder = posixpath.dirname(sources.get(here, f"docs/{here}"))

    def moved(match: re.Match[str]) -> str:
        start, target, anchor = match[1], match[2], match[3] or ""
        source = posixpath.normpath(posixpath.join(source_folder, target))
        found = pages.get(source, source.removeprefix("docs/"))
        if "://" in target or files.get_file_from_path(found) is None:
            return match[0]
        return f"{start}{posixpath.relpath(found, posixpath.dirname(here) or '.')}{anchor})"

    return _LINK.sub(moved, markdown)
