"""Files of a release agree with the package."""

from __future__ import annotations

import re
from pathlib import Path

import danq

ROOT = Path(__file__).resolve().parents[1]


def test_the_citation_has_the_version_and_the_licence():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.+)$", text, re.MULTILINE) == [danq.__version__]
    assert re.findall(r"^license: (.+)$", text, re.MULTILINE) == ["MIT"]
    assert "10.1093/nar/gkw226" in text


def test_the_package_is_typed():
    assert (ROOT / "danq" / "py.typed").is_file()
