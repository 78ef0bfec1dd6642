"""Read all files of a source once: leave out damaged ones, find repeated ones."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from danq.errors import InputError, few
from danq.vision.own_data.checked_files import CHECKS, FACTS, CheckedFile
from danq.vision.own_data.input_settings import InputSettings
from danq.vision.own_data.reading_workers import borrowed_workers, worker_count
from danq.vision.own_data.records import Record, Source

FEW_FILES = 64
"""Files that this process reads itself: others would take longer to start."""

_AT_A_TIME = 16
_AHEAD = 4

log = logging.getLogger("danq")


class Checked(NamedTuple):
    """Examples whose files can be read, and what is known of the files."""

    records: list[Record]
    files: list[CheckedFile]


def checked(source: Source, kind: str, settings: InputSettings, what: str) -> Checked:
    """Read all files of a source.

    Parameters
    ----------
    source
        The examples.
    kind
        Kind of the files, in `CHECKS`.
    settings
        Workers, and whether damaged files are left out.
    what
        The files, for messages: "images".

    Raises
    ------
    InputError
        When files cannot be read and are not to be left out, or none can be read.
    """
    paths = list(dict.fromkeys(record.path for record in source.records))
    known = dict(zip(paths, read_all(kind, paths, worker_count(settings.workers)), strict=True))
    records = leave_out_damaged(source, known, settings, what)
    return Checked(records, [known[record.path] for record in records])  # type: ignore[misc]


def leave_out_damaged(
    source: Source,
    known: Mapping[str, object],
    settings: InputSettings,
    what: str,
) -> list[Record]:
    """Examples whose files can be read.

    Parameters
    ----------
    source
        The examples.
    known
        What was found in each file, or the error.
    settings
        Whether damaged files are left out.
    what
        The files, for messages: "images".

    Raises
    ------
    InputError
        When files cannot be read and are not to be left out, or none can be read.
    """
    damaged = {path: error for path, error in known.items() if isinstance(error, InputError)}
    if damaged:
        # A folder of frames is one video: the error names the frame.
        problems = (f"{error.file or path} ({error.problem})" for path, error in damaged.items())
        names = few(problems, 5, "; ")
        counts = f"{len(damaged):,} of {len(known):,} {what} cannot be read"
        if not settings.skip_damaged or len(damaged) == len(known):
            raise source.error(
                f"{counts}: {names}", "Repair or remove them, or leave them out (skip_damaged)"
            )
        log.warning("%s: %s and are left out: %s", source.path, counts, names)
    return [record for record in source.records if record.path not in damaged]


def read_all(kind: str, paths: Sequence[str], workers: int) -> list[CheckedFile | InputError]:
    """Read files to their ends; the error of those that cannot be read.

    Parameters
    ----------
    kind
        Kind of the files, in `CHECKS`.
    paths
        The files.
    workers
        Number of processes.
    """
    if not workers or len(paths) < FEW_FILES:
        return [_read(kind, path) for path in paths]
    found: list[CheckedFile | InputError] = []
    parts = [paths[at : at + _AT_A_TIME] for at in range(0, len(paths), _AT_A_TIME)]
    with borrowed_workers(workers) as pool:
        jobs: list[int] = []
        for part in parts[: _AHEAD * workers]:
            jobs.append(pool.submit("check", kind=kind, paths=list(part)))
        for number in range(len(parts)):
            answers = pool.result(jobs[number])
            if len(jobs) < len(parts):
                part = parts[len(jobs)]
                jobs.append(pool.submit("check", kind=kind, paths=list(part)))
            for answer in answers:
                if isinstance(answer, dict):
                    found.append(InputError(**answer))
                else:
                    digest, facts, stamp = answer
                    found.append(CheckedFile(digest, FACTS[kind](*facts), tuple(stamp)))
    return found


def _read(kind: str, path: str) -> CheckedFile | InputError:
    try:
        return CHECKS[kind](path)
    except InputError as error:
        return error


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
