"""Read TOML files."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from danq.errors import InputError
from danq.files.text_tables import read_text


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    InputError
        When the file is missing, a folder, empty, not text, or not TOML (with the line and column
        in the message).
    """
    try:
        return tomllib.loads(read_text(path))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(
            f"is not valid TOML: {error}", file=path, remedy="Correct it; see https://toml.io"
        ) from error
