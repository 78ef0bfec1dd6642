"""Read a track sheet: a table of the names and files of tracks."""

from __future__ import annotations

import csv
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from danq.errors import InputError
from danq.files.pipes import is_pipe
from danq.files.text_tables import TextRow, text_rows
from danq.names import check_name

log = logging.getLogger("danq")

COLUMNS = ("name", "path", "group", "reverse_track", "replicate_of")


@dataclass(frozen=True)
class Track:
    """One track.

    Attributes
    ----------
    name, path
        Name, and the file with its peaks or signal.
    group
        Group; may be empty.
    reverse
        Name of the track of the other strand, or of the track itself; empty if not given.
    replicates
        Name of the experiment that the track is a replicate of; empty if not given.
    """

    name: str
    path: Path
    group: str = ""
    reverse: str = ""
    replicates: str = ""


def read_sheet(path: Path) -> list[Track]:
    """List the tracks of a track sheet.

    Parameters
    ----------
    path
        Tab-separated columns ``name  path  [group]``. With a header, they may have any order,
        commas may separate them, ``reverse_track`` and ``replicate_of`` (`Track`) may follow, and
        other columns are left out. Paths are relative to the
        sheet's folder, or for a pipe to the working directory.

    Returns
    -------
    list of Track
        In the order of the sheet.

    Raises
    ------
    InputError
        When the sheet has no rows or is not text; a row has other columns or an empty name, or
        its file is missing; or a name occurs twice.
    """
    rows = _fields(path)
    header = [field.lower() for field in rows[0].fields] if rows else []
    columns = _columns(header, path, rows[0].number) if {"name", "path"} <= set(header) else None
    tracks: list[Track] = []
    seen: dict[str, int] = {}
    for number, fields, _ in rows if columns is None else rows[1:]:
        track = _track(path, number, fields, columns)
        if track.name in seen:
            raise InputError(
                f"the track '{track.name}' is already on line {seen[track.name]}",
                file=path,
                line=number,
                remedy="Give each track a unique name",
            )
        seen[track.name] = number
        tracks.append(track)
    if not tracks:
        raise InputError(
            "the track sheet has no tracks",
            file=path,
            remedy="Write one line per track: name, tab, path of its file",
        )
    return tracks


def is_stream(path: Path) -> bool:
    """Whether a path is a stream of the process, such as ``/dev/stdin``, which has no name.

    A named pipe is not a stream of the process.
    """
    return path.absolute().parts[1:2] in (("dev",), ("proc",))


def _fields(path: Path) -> list[TextRow]:
    rows = list(text_rows(path))
    first = next(csv.reader([rows[0].text])) if rows and "\t" not in rows[0].text else []
    if not {"name", "path"} <= {field.strip().lower() for field in first}:
        return rows
    log.info("%s: the columns are separated by commas", path)
    return [
        TextRow(number, [field.strip() for field in next(csv.reader([text]))], text)
        for number, _, text in rows
    ]


def _columns(header: Sequence[str], path: Path, line: int) -> dict[str, int]:
    """Indices of the columns that are read, by name."""
    for name in COLUMNS:
        if header.count(name) > 1:
            raise InputError(
                f"two columns are named '{name}'", file=path, line=line, remedy="Rename one"
            )
    others = [name for name in header if name not in COLUMNS]
    if others:
        log.info("%s: columns that are left out: %s", path, ", ".join(others))
    columns = {name: header.index(name) for name in COLUMNS if name in header}
    # A third column without a name is the group.
    return columns if len(header) > 2 else {"group": 2} | columns


def _track(path: Path, number: int, fields: list[str], columns: dict[str, int] | None) -> Track:
    if columns is None:
        indices, fits = (
            dict(zip(COLUMNS[:3], range(len(fields)), strict=False)),
            len(fields) in (2, 3),
        )
    else:
        indices, fits = columns, len(fields) > max(columns["name"], columns["path"])
    values = {name: fields[index] for name, index in indices.items() if index < len(fields)}
    if not fits or not values["name"] or not values["path"]:
        raise InputError(
            f"{len(fields)} tab-separated column{'s' * (len(fields) != 1)} "
            f"({', '.join(fields)[:80]}), not name, path and optionally group",
            file=path,
            line=number,
            remedy="Write name, tab, path, and optionally tab, group; if this is a file of peaks "
            "or of a signal, give it its extension, such as .bed or .bw",
        )
    check_name(values["name"], "track", file=path, line=number)
    for column in COLUMNS[2:]:
        if values.get(column):
            check_name(values[column], column, file=path, line=number)
    folder = Path() if is_stream(path) or is_pipe(path) else path.parent
    try:
        peaks = folder / Path(values["path"]).expanduser()
    except RuntimeError as error:
        raise InputError(
            f"the home folder in '{values['path']}' is not known",
            file=path,
            line=number,
            record=values["name"],
            remedy="Write the whole path",
        ) from error
    try:
        usable = peaks.exists() and not peaks.is_dir()
    except OSError as error:
        raise InputError(
            f"the path {peaks} cannot be opened ({error.strerror})",
            file=path,
            line=number,
            record=values["name"],
            remedy="Check the path",
        ) from error
    if not usable:
        missing = "is a folder, not a file" if peaks.is_dir() else "there is no file"
        raise InputError(
            f"{peaks} {missing}" if peaks.is_dir() else f"{missing} {peaks}",
            file=path,
            line=number,
            record=values["name"],
            remedy=_remedy(values["path"], named=columns is not None),
        )
    further = (values.get(column, "") for column in COLUMNS[2:])
    return Track(values["name"], peaks, *further)


def _remedy(given: str, *, named: bool) -> str:
    if "://" in given:
        return "danq does not download files: give the path of a file"
    if "\\" in given:
        return "Write the path with /, not \\"
    if "*" in given or "$" in given:
        return "Write the path itself: patterns and variables are not expanded"
    relative = "Paths are relative to the sheet's folder"
    return relative if named else f"{relative}. Column names are name, path and optionally group"
