"""Read every file of a source once: which are damaged, what they contain, which are equal."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from danq.errors import InputError, few
from danq.files.open_input import check_file, open_raw
from danq.vision.own_data.image_files import image_facts
from danq.vision.own_data.input_settings import InputSettings
from danq.vision.own_data.records import Record, Source
from danq.vision.own_data.video_files import clip_facts, frame_files

_PIECE = 1 << 20

log = logging.getLogger("danq")


class CheckedFile(NamedTuple):
    """What is known of a file that was read to its end.

    Attributes
    ----------
    digest
        sha256 of its content.
    facts
        Its description, such as `ImageFacts`.
    """

    digest: str
    facts: Any


class Checked(NamedTuple):
    """Examples whose files can be read, and what is known of the files."""

    records: list[Record]
    files: list[CheckedFile]


def digest_of(path: str) -> str:
    """sha256 of the content of a file.

    Raises
    ------
    InputError
        When it cannot be read.
    """
    total = hashlib.sha256()
    with open_raw(check_file(path)) as file:
        while piece := file.read(_PIECE):
            total.update(piece)
    return total.hexdigest()


def check_image(path: str) -> CheckedFile:
    """Read an image to its end.

    Raises
    ------
    InputError
        When it cannot be read.
    """
    return CheckedFile(digest_of(path), image_facts(path))


def check_clip(path: str) -> CheckedFile:
    """Read a clip to its end.

    Raises
    ------
    InputError
        When it cannot be read.
    """
    facts = clip_facts(path)
    files = frame_files(path) if os.path.isdir(path) else [path]
    digests = [digest_of(file) for file in files]
    total = digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode())
    return CheckedFile(total if isinstance(total, str) else total.hexdigest(), facts)


def checked(
    source: Source, check: Callable[[str], CheckedFile], settings: InputSettings, what: str
) -> Checked:
    """Read all files of a source.

    Parameters
    ----------
    source
        The examples.
    check
        Reads one file.
    settings
        Whether damaged files are left out.
    what
        The files, for messages: "images".

    Raises
    ------
    InputError
        When files cannot be read and are not to be left out, or none can be read.
    """
    known: dict[str, CheckedFile | InputError] = {}
    for record in source.records:
        if record.path not in known:
            try:
                known[record.path] = check(record.path)
            except InputError as error:
                known[record.path] = error
    damaged = {path: error for path, error in known.items() if isinstance(error, InputError)}
    if damaged:
        names = few((f"{path} ({error.problem})" for path, error in damaged.items()), 5, "; ")
        counts = f"{len(damaged):,} of {len(known):,} {what} cannot be read"
        if not settings.skip_damaged or len(damaged) == len(known):
            raise source.error(
                f"{counts}: {names}", "Repair or remove them, or leave them out (skip_damaged)"
            )
        log.warning("%s: %s and are left out: %s", source.path, counts, names)
    records = [record for record in source.records if record.path not in damaged]
    files = [known[record.path] for record in records]
    return Checked(records, files)  # type: ignore[arg-type]


def without_repeats(source: Source, records: Sequence[Record]) -> list[Record]:
    """Examples, each once.

    Raises
    ------
    InputError
        When a file is in several rows that differ.
    """
    first: dict[tuple[str, Any], Record] = {}
    for record in records:
        known = first.setdefault((record.path, str(record.more)), record)
        if known[1:4] != record[1:4]:
            lines = "" if known.line is None else f" (as in line {known.line:,})"
            raise source.error(
                f"{record.path} is given twice{lines}, with different targets, splits or groups: "
                f"'{_shown(known)}' and '{_shown(record)}'",
                "Remove one of them",
                record,
            )
    repeated = len(records) - len(first)
    if repeated:
        log.warning("%s: %d repeated rows are left out", source.path, repeated)
    return list(first.values())


def _shown(record: Record) -> str:
    return " ".join(str(part) for part in record[1:4] if part is not None)
