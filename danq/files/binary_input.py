"""Names of formats for errors about files that are read by their libraries."""

from __future__ import annotations

from pathlib import Path

from danq.files.open_input import check_file, open_raw
from danq.files.recognise import GZIP_MAGIC, HEAD, unreadable_format


def format_of(path: str | Path) -> str:
    """What a file is, by its first bytes: "a Parquet file", "text", "compressed with gzip".

    Raises
    ------
    InputError
        As `danq.files.open_input.check_file`; and when it cannot be opened.
    """
    with open_raw(check_file(path)) as file:
        head = file.read(HEAD)
    if head.startswith(GZIP_MAGIC):
        return "compressed with gzip"
    found = unreadable_format(head)
    if found is not None:
        return found.name
    return "a text file" if _is_text(head) else "a file of an unknown format"


def _is_text(head: bytes) -> bool:
    for cut in range(min(4, len(head))):  # the last character may be cut
        try:
            text = head[: len(head) - cut].decode("utf-8")
        except UnicodeDecodeError:
            continue
        return all(one.isprintable() or one.isspace() for one in text)
    return False
