"""Find the peak files of tracks, in folders, as files, or in a track sheet."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from danq.errors import InputError
from danq.files.pipes import is_pipe
from danq.files.text_tables import text_rows

log = logging.getLogger("danq")

PEAK_ENDINGS = (".bed", ".narrowpeak", ".broadpeak")
COLUMNS = ("name", "path", "group")


@dataclass(frozen=True)
class Track:
    """One track: a name, the file with its peaks, and a group (may be empty)."""

    name: str
    path: Path
    group: str = ""


def find_tracks(source: str | Path | Sequence[str | Path]) -> list[Track]:
    """List the tracks of one or several paths.

    Parameters
    ----------
    source
        A folder of peak files, a peak file, a track sheet, or several of these. Peak files have
        the extension .bed, .narrowPeak or .broadPeak, plain or .gz; the tracks of a folder are
        sorted by name. Any other file is a track sheet: tab-separated columns ``name  path
        [group]``, with or without a header line. Blank lines and lines that start with ``#`` are
        skipped; paths are relative to the sheet's folder, or for a pipe to the working directory.
        The track of a peak file is named after the file, without its extensions.

    Returns
    -------
    list of Track
        In the order of the paths.

    Raises
    ------
    InputError
        When a path is missing, a folder has no peak files, a sheet is empty, is not text, has a
        line without two or three columns or with an empty name, lists a missing file; when
        two tracks have the same name; or a name has characters that cannot be printed.
    """
    paths = [source] if isinstance(source, str | Path) else list(source)
    tracks: list[Track] = []
    for path in map(Path, paths):
        if path.is_dir():
            tracks += _folder(path)
        elif not path.exists():
            raise InputError("no such file or folder", file=path, remedy="Check the path")
        elif _stem(path) is not None:
            tracks.append(Track(_stem(path) or path.name, path))
        else:
            tracks += _sheet(path)
    if not tracks:
        raise InputError(
            "no tracks were given", remedy="Give a folder of peak files, or a track sheet"
        )
    seen: dict[str, Track] = {}
    for track in tracks:
        if not track.name.isprintable():
            raise InputError(
                f"the name {track.name!r} of a track has characters that are not UTF-8, or control "
                "characters",
                remedy="Rename the file, or give names in a track sheet",
            )
        if track.name in seen:
            raise InputError(
                f"two tracks are named '{track.name}': {seen[track.name].path} and {track.path}",
                remedy="Rename one file, or give names in a track sheet",
            )
        seen[track.name] = track
    return tracks


def _stem(path: Path) -> str | None:
    """Name without the extensions of a peak file, or None for other files."""
    name = path.name
    if name.lower().endswith((".gz", ".bgz")):
        name = name[: name.rindex(".")]
    return name[: name.rindex(".")] if name.lower().endswith(PEAK_ENDINGS) else None


def _folder(folder: Path) -> list[Track]:
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name[0] != ".")
    tracks = [Track(stem, path) for path in files if (stem := _stem(path))]
    others = [path.name for path in files if _stem(path) is None]
    if tracks and others:
        log.info(
            "%s: %d of %d files are not peak files by their extension and are left out: %s%s",
            folder,
            len(others),
            len(files),
            ", ".join(others[:3]),
            ", ..." if len(others) > 3 else "",
        )
    if not tracks:
        raise InputError(
            f"none of the {len(files)} files in this folder is a peak file",
            file=folder,
            remedy="Peak files end in .bed, .narrowPeak or .broadPeak, or in these and .gz",
        )
    return tracks


def _sheet(path: Path) -> list[Track]:
    tracks: list[Track] = []
    seen: dict[str, int] = {}
    first = True
    for number, fields, _ in text_rows(path):
        if first and tuple(field.lower() for field in fields) in (COLUMNS, COLUMNS[:2]):
            first = False
            continue
        first = False
        track = _row(path, number, fields)
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
            remedy="Write one line per track: name, tab, path of its peak file",
        )
    return tracks


def _row(path: Path, number: int, fields: list[str]) -> Track:
    if len(fields) not in (2, 3) or not fields[0] or not fields[1]:
        raise InputError(
            f"{len(fields)} tab-separated column{'s' * (len(fields) != 1)} "
            f"({', '.join(fields)[:80]}), not name, path and optionally group",
            file=path,
            line=number,
            remedy="Write name, tab, path, and optionally tab, group; if this is a peak file, give "
            "it the extension .bed",
        )
    folder = Path() if is_pipe(path) else path.parent
    try:
        peaks = folder / Path(fields[1]).expanduser()
    except RuntimeError as error:
        raise InputError(
            f"the home folder in '{fields[1]}' is not known",
            file=path,
            line=number,
            record=fields[0],
            remedy="Write the whole path",
        ) from error
    if not peaks.is_file():
        raise InputError(
            f"there is no file {peaks}",
            file=path,
            line=number,
            record=fields[0],
            remedy="Paths are relative to the sheet's folder",
        )
    return Track(fields[0], peaks, fields[2] if len(fields) == 3 else "")
