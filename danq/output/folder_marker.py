"""The marker of a folder that danq wrote: what the folder is, and which files danq wrote into it.

danq replaces or empties a folder only if it has such a marker and no other file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

from danq.output.temporary_names import is_leftover, new_file

Objection = Callable[[Path], str | None]
"""Returns why a folder may not be replaced, such as "contains 'thesis.tex'", or None."""

MARKER = "danq-folder.json"
MAGIC = "danq-folder"
FORMAT_VERSION = 1

_LARGEST = 1 << 26
"""Bytes of the largest marker: names of a million files."""


def mark_folder(folder: Path, kind: str, patterns: Iterable[str] = ()) -> None:
    """Write the marker of a folder, which lists the files that it contains now.

    Parameters
    ----------
    folder
        The folder, with files of danq only.
    kind
        What the folder is: "evaluation".
    patterns
        Files that danq writes into it later: names relative to the folder with ``/`` between
        folders, where ``*`` stands for any letters of one name. Folders within it with a marker
        need no pattern.

    Raises
    ------
    OSError
        When the marker cannot be written.
    """
    later = sorted(patterns)
    files = sorted(
        name for name, _ in _files(folder, skip=_collecting([])) if not _is_expected(name, later)
    )
    content = {
        "magic": MAGIC,
        "format_version": FORMAT_VERSION,
        "kind": kind,
        "files": files,
        "patterns": later,
    }
    with new_file(folder / MARKER) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        os.replace(temporary, folder / MARKER)


def marked(kind: str) -> Objection:
    """Objection to every folder that is not of a kind, or contains files that danq did not write.

    For the argument ``objection`` of `danq.output.check_folder`.
    """

    def objection(folder: Path) -> str | None:
        content = read_marker(folder)
        if content is None:
            return f"has no valid {MARKER}, which marks the folders of danq"
        if content["kind"] != kind:
            return f"is the folder of a {content['kind']}, not of a {kind}"
        strange = next(_strange(folder, content), None)
        return None if strange is None else f"contains '{strange}', which danq did not write"

    return objection


def read_marker(folder: Path) -> dict[str, Any] | None:
    """Content of the marker of a folder; None if there is no valid one."""
    path = folder / MARKER
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _LARGEST:
            return None
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    valid = (
        isinstance(content, dict)
        and content.get("magic") == MAGIC
        and content.get("format_version") == FORMAT_VERSION
        and isinstance(content.get("kind"), str)
        and all(
            isinstance(content.get(name), list)
            and all(isinstance(one, str) for one in content[name])
            for name in ("files", "patterns")
        )
    )
    return content if valid else None


def remove_marked(folder: Path, *, keep_folder: bool = False) -> None:
    """Delete the files of a folder that danq wrote, and the folder if no other file is in it.

    Parameters
    ----------
    folder
        A folder with a marker; without one, nothing is deleted.
    keep_folder
        Keep the folder itself, empty and without its marker.

    Raises
    ------
    OSError
        When a file cannot be deleted.
    """
    content = read_marker(folder)
    if content is None:
        return
    _remove(folder, content)
    if not keep_folder:
        with suppress(OSError):
            folder.rmdir()


def _remove(folder: Path, content: Mapping[str, Any]) -> None:
    strange = set(_strange(folder, content))
    folders: list[Path] = []
    inner: list[tuple[Path, dict[str, Any]]] = []
    for name, path in _files(folder, skip=_collecting(inner), into=folders):
        if name not in strange and name != MARKER:
            path.unlink()
    for path, own in inner:
        _remove(path, own)
    for path in [*(path for path, _ in inner), *reversed(folders)]:
        with suppress(OSError):  # a folder with another file stays
            path.rmdir()
    # The marker goes last, so that an interrupted deletion can be continued.
    if not strange:
        (folder / MARKER).unlink(missing_ok=True)


def _collecting(inner: list[tuple[Path, dict[str, Any]]]) -> Callable[[Path], bool]:
    """Whether a folder has a marker; collects these folders and their markers."""

    def has_own_marker(path: Path) -> bool:
        own = read_marker(path)
        if own is not None:
            inner.append((path, own))
        return own is not None

    return has_own_marker


def _strange(folder: Path, content: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Names of the files that danq did not write, relative to the outermost folder."""
    listed, patterns = set(content["files"]), content["patterns"]
    inner: list[tuple[Path, dict[str, Any]]] = []
    for name, path in _files(folder, skip=_collecting(inner)):
        known = name in listed or _is_expected(name, patterns)
        # danq writes regular files only.
        if not known or path.is_symlink() or not path.is_file():
            yield above + name
    for path, own in inner:
        yield from _strange(path, own, f"{above}{path.relative_to(folder).as_posix()}/")


def _is_expected(name: str, patterns: Iterable[str]) -> bool:
    """Whether a file is the marker, matches a pattern, or is a temporary file of danq."""
    return (
        name == MARKER
        or any(_matches(name, pattern) for pattern in patterns)
        or any(is_leftover(Path(part)) for part in PurePosixPath(name).parts)
    )


def _matches(name: str, pattern: str) -> bool:
    parts, wanted = name.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))


def _files(
    folder: Path,
    *,
    skip: Callable[[Path], bool] = lambda _: False,
    into: list[Path] | None = None,
) -> Iterator[tuple[str, Path]]:
    """Names and paths of everything that is not a folder; links are not followed.

    Parameters
    ----------
    folder
        Where to search.
    skip
        Whether to leave out an inner folder.
    into
        Receives the inner folders, each before those within it.
    """

    def walk(inner: Path) -> Iterator[tuple[str, Path]]:
        with os.scandir(inner) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            path = inner / entry.name
            if not entry.is_dir(follow_symlinks=False):
                yield path.relative_to(folder).as_posix(), path
            elif not skip(path):
                if into is not None:
                    into.append(path)
                yield from walk(path)

    return walk(folder)
