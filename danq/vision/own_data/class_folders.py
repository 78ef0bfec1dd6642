"""Read folders of files, one per class: ``cats/1.jpg``, or ``train/cats/1.jpg``."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Set
from pathlib import Path

from danq.errors import InputError, few
from danq.vision.own_data.records import SPLIT_NAMES, Record, Source

DEEPEST = 32
"""Levels of folders below the folder of a class."""


def read_class_folders(
    folder: Path,
    suffixes: Set[str],
    what: str,
    frames: Set[str] = frozenset(),
    beside: Set[str] = frozenset(),
) -> Source:
    """Read the files of class folders.

    Parameters
    ----------
    folder
        Folder whose folders are classes, or splits with folders of classes. Names of splits are
        ``train``, ``valid`` (or ``val``, ``validation``) and ``test``.
    suffixes
        Endings of the files that are read, in lower case; other files are counted and left out.
    what
        The files, for messages: "images".
    frames
        Endings of images; a folder with one of them, below the folder of a class, is one example.
    beside
        Endings of files that belong to others of the same name; they are not counted.

    Raises
    ------
    InputError
        When the folder has no folders, or there are no files.
    """
    folders = _folders(folder)
    if not folders:
        raise InputError(
            f"has no folders of {what}",
            file=folder,
            remedy="Put the files of each class into a folder with the name of the class, or give "
            "a table with the columns 'path' and 'class'",
        )
    others: Counter[str] = Counter()
    loose = [one.name for one in os.scandir(folder) if one.is_file() and one.name[0] != "."]
    if loose:
        others["beside the folders"] = len(loose)
    splits = {one: SPLIT_NAMES.get(one.name.lower()) for one in folders}
    if all(splits.values()):
        parts = [(split, kind) for part, split in splits.items() for kind in _folders(part)]
    else:
        parts = [(None, kind) for kind in folders]
    records: list[Record] = []
    empty: list[str] = []
    for split, kind in parts:
        before = len(records)
        for path in _files(kind, suffixes, others, frames):
            records.append(Record(path, kind.name, split))
        if len(records) == before:
            empty.append(str(kind.relative_to(folder)))
    if not records:
        raise InputError(
            f"has no {what} in its folders",
            file=folder,
            remedy=f"Files of {what} end in {', '.join(sorted(suffixes))}",
        )
    for suffix in beside:
        others.pop(f"*{suffix}", None)
    notices = []
    if empty:
        notices.append(f"folders without {what} are left out: {few(empty)}")
    if others:
        kinds = few(f"{count:,} {name}" for name, count in others.most_common())
        notices.append(f"files that are not {what} are left out: {kinds}")
    return Source(folder, "classes", records, notices)


def _folders(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        return sorted(Path(one.path) for one in entries if one.name[0] != "." and one.is_dir())


def _files(
    folder: Path, suffixes: Set[str], others: Counter[str], frames: Set[str]
) -> Iterator[str]:
    """Files below a folder in the order of their names; links in a circle are followed once."""
    waiting, seen = [(str(folder), 0)], set()
    while waiting:
        current, depth = waiting.pop()
        state = os.stat(current)
        if (state.st_dev, state.st_ino) in seen or depth > DEEPEST:
            continue
        seen.add((state.st_dev, state.st_ino))
        with os.scandir(current) as entries:
            found = sorted(entries, key=lambda one: one.name)
        below = []
        if any(one.name[0] != "." and _suffix(one.name) in frames for one in found):
            yield current
            continue
        for one in found:
            if one.name.startswith("."):
                continue
            if one.is_dir():
                below.append((one.path, depth + 1))
            elif _suffix(one.name) in suffixes:
                yield one.path
            else:
                others[f"*{_suffix(one.name)}"] += 1
        waiting.extend(reversed(below))


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()
