"""Read TOML files."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from danq.errors import InputError
from danq.files.text_tables import read_text

MAX_TOML = 1 << 20
"""Largest number of bytes of a TOML file."""


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    InputError
        When the file is missing, a folder, empty, not text, larger than `MAX_TOML` bytes, or not
        TOML (with the line and column in the message).
    """
    text = read_text(path, MAX_TOML)
    try:
        return tomllib.loads(text)
    # Integers of thousands of digits are a ValueError.
    except (ValueError, RecursionError) as error:
        nested = isinstance(error, RecursionError)
        problem = "too many nested values" if nested else str(error)
        raise InputError(
            f"is not valid TOML: {problem}", file=path, remedy="Correct it; see https://toml.io"
        ) from error
