"""Read JSON files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from danq.errors import InputError
from danq.files.binary_input import format_of
from danq.files.open_input import check_file, open_raw
from danq.files.text_tables import normalise


def read_json(path: str | Path, expected: str, *, remedy: str) -> Any:
    """Read a JSON file.

    Parameters
    ----------
    path
        The file.
    expected
        What the file should be, for errors.
    remedy
        What to do when it is something else.

    Raises
    ------
    InputError
        When the file is missing, empty, a folder, a pipe or a device, or not JSON.
    """
    with open_raw(check_file(path)) as file:
        data = file.read()
    try:
        return json.loads(normalise(data, path))
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"is {format_of(path)}, not {expected}", file=path, remedy=remedy
        ) from error
