"""Refuse URLs in place of files."""

from __future__ import annotations

import re
from pathlib import Path

from danq.errors import InputError

# pathlib.Path turns // into /.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


def refuse_url(path: str | Path) -> None:
    """Refuse a URL, which danq does not read.

    Raises
    ------
    InputError
        When the path begins like a URL (http, https, ftp, s3, gs, or another scheme).
    """
    if _URL.match(str(path)):
        raise InputError(
            "is a URL, and danq reads only local files",
            file=path,
            remedy="Download it first, with its index if it has one; or write it to a pipe, for "
            "example with: curl -sL URL",
        )
