"""The file that describes a folder of results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from danq.provenance import sha256_of

SUMMARY = "summary.json"
"""Name of the file."""


def write_summary(folder: Path, format: str, version: int, about: Mapping[str, Any]) -> None:
    """Write ``summary.json``, with the checksums of the files that the folder has so far.

    Files in folders within it have none.

    Parameters
    ----------
    folder
        A folder whose other files are complete.
    format, version
        Name and version of the format of the folder.
    about
        Other entries.
    """
    files = {one.name: sha256_of(one) for one in sorted(folder.iterdir()) if one.is_file()}
    content = {"format": format, "format_version": version, **about, "files": files}
    (folder / SUMMARY).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
