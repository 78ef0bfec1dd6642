"""Read JSON files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from danq.errors import InputError
from danq.files.binary_input import format_of
from danq.files.open_input import check_file, open_raw, too_large
from danq.files.recognise import JSON
from danq.files.text_tables import MAX_TEXT, normalise


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
        When the file is missing, empty, a folder or a device, larger than `MAX_TEXT` bytes, or not
        JSON. A pipe is read within `danq.files.pipes.copied_pipes` only.
    """
    with open_raw(check_file(path)) as file:
        data = file.read(MAX_TEXT + 1)
    if len(data) > MAX_TEXT:
        raise too_large(path, MAX_TEXT)
    try:
        return json.loads(normalise(data, path))
    except (ValueError, RecursionError) as error:
        found = format_of(path)
        problem, line = f"is {found}, not {expected}", None
        if found == JSON.name and isinstance(error, json.JSONDecodeError):
            problem, line = f"is damaged JSON ({error.msg}), not {expected}", error.lineno
        elif isinstance(error, RecursionError):
            problem = f"has too many nested lists, unlike {expected}"
        raise InputError(problem, file=path, line=line, remedy=remedy) from error
