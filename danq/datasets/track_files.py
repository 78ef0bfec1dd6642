"""Find the peak files of tracks, in folders, as files, or in a track sheet."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from danq.datasets.track_sheet import Track, is_stream, read_sheet
from danq.errors import InputError, few
from danq.files.text_tables import text_rows
from danq.genome.bed_header import is_header
from danq.names import check_name

log = logging.getLogger("danq")

PEAK_ENDINGS = (".bed", ".narrowpeak", ".broadpeak")

RESERVED = frozenset({"chrom", "name", "start", "end", "pos", "ref", "alt"})
"""Columns of the tables of predictions and mutations, where each track has a column, too."""


def find_tracks(source: str | Path | Sequence[str | Path]) -> list[Track]:
    """List the tracks of one or several paths.

    Parameters
    ----------
    source
        A folder of peak files, a peak file, a track sheet, or several of these. Peak files have
        the extension .bed, .narrowPeak or .broadPeak, plain or .gz; the tracks of a folder are
        sorted by name. Any other file is a peak file if its first line is an interval, and
        otherwise a track sheet (`danq.datasets.track_sheet.read_sheet`). The track of a peak file
        is named after the file, without its extensions.

    Returns
    -------
    list of Track
        In the order of the paths.

    Raises
    ------
    InputError
        As `read_sheet`; when a path is missing, a folder has no peak files or a link to a missing
        one; when two tracks have the same name; or a name is one of `RESERVED` or as
        `danq.names.check_name`.
    """
    return PEAKS.find(source)


def check_tracks(tracks: Sequence[Track]) -> None:
    """Check the names of tracks.

    Raises
    ------
    InputError
        When two tracks have the same name; or a name is one of `RESERVED` or as
        `danq.names.check_name`.
    """
    seen: dict[str, Track] = {}
    for track in tracks:
        check_name(track.name, "track", file=track.path)
        if track.name in RESERVED:
            raise InputError(
                f"a track is named '{track.name}', like a column of danq's tables",
                file=track.path,
                remedy="Rename the file, or give names in a track sheet",
            )
        if track.name in seen:
            raise InputError(
                f"two tracks are named '{track.name}': {seen[track.name].path} and {track.path}",
                remedy="Rename one file, or give names in a track sheet",
            )
        seen[track.name] = track


@dataclass(frozen=True)
class TrackFiles:
    """Files of one kind, each of which is a track.

    Attributes
    ----------
    endings
        Their extensions, in lower case. Files with .gz or .bgz after one of these belong to them.
    noun, plural
        What one file and several are called in messages, such as "peak file".
    remedy
        Sentence that names the extensions.
    check
        Raises an `InputError` for a file of a folder that cannot be used.
    other
        Tracks of a file with another extension.
    """

    endings: tuple[str, ...]
    noun: str
    plural: str
    remedy: str
    check: Callable[[Path], object]
    other: Callable[[Path], list[Track]]

    def find(self, source: str | Path | Sequence[str | Path]) -> list[Track]:
        """List the tracks of one or several paths, as `find_tracks`."""
        paths = [source] if isinstance(source, str | Path) else list(source)
        tracks: list[Track] = []
        for path in map(Path, paths):
            if path.is_dir():
                tracks += self._of_folder(path)
            elif not path.exists():
                raise InputError("no such file or folder", file=path, remedy="Check the path")
            elif (stem := self._stem(path)) is not None:
                tracks.append(Track(stem or path.name, path))
            else:
                tracks += self.other(path)
        if not tracks:
            raise InputError(
                "no tracks were given", remedy=f"Give a folder of {self.noun}s, or a track sheet"
            )
        check_tracks(tracks)
        return tracks

    def _stem(self, path: Path) -> str | None:
        """Name without the extensions, or None for other files."""
        name = unpacked_name(path)
        return name[: name.rindex(".")] if name.lower().endswith(self.endings) else None

    def _of_folder(self, folder: Path) -> list[Track]:
        entries = sorted(path for path in folder.iterdir() if path.name[0] != ".")
        files = [path for path in entries if not path.is_dir()]
        tracks = [Track(stem, path) for path in files if (stem := self._stem(path))]
        for track in tracks:
            self.check(track.path)
        others = [path.name for path in files if self._stem(path) is None]
        if tracks and others:
            log.warning(
                "%s: %d of %d files are not %s by their extension and are left out: %s",
                folder,
                len(others),
                len(files),
                self.plural,
                few(others),
            )
        folders = [path.name for path in entries if path.is_dir()]
        if tracks and folders:
            log.info("%s: folders in it are not searched: %s", folder, few(folders))
        if not tracks:
            raise InputError(
                f"none of the {len(files)} files in this folder is a {self.noun}",
                file=folder,
                remedy=self.remedy,
            )
        return tracks


def unpacked_name(path: Path) -> str:
    """Name of a file without .gz or .bgz."""
    name = path.name
    return name[: name.rindex(".")] if name.lower().endswith((".gz", ".bgz")) else name


def _check_link(path: Path) -> None:
    if not path.exists():
        raise InputError(
            "is a link to a file that does not exist",
            file=path,
            remedy="Remove the link, or make the file",
        )


def _other_file(path: Path) -> list[Track]:
    """Tracks of a file without the extension of peak files: a track sheet, or intervals."""
    row = next(text_rows(path), None)
    if row is None or not _is_intervals(row.fields):
        return read_sheet(path)
    if is_stream(path):
        raise InputError(
            "holds peaks, and its name cannot be the name of a track",
            file=path,
            remedy="Save the peaks under the name of the track, such as CTCF.bed; a named pipe may "
            "have such a name",
        )
    name = unpacked_name(path)
    log.info("%s: read as a peak file", path)
    return [Track(name[: name.rindex(".")] if "." in name[1:] else name, path)]


def _is_intervals(fields: Sequence[str]) -> bool:
    if len(fields) == 1:
        return fields[0].startswith(("track ", "browser "))
    return is_header(fields) or (len(fields) > 2 and fields[1].isdigit() and fields[2].isdigit())


PEAKS = TrackFiles(
    PEAK_ENDINGS,
    "peak file",
    "peak files",
    "Peak files end in .bed, .narrowPeak or .broadPeak, or in these and .gz",
    _check_link,
    _other_file,
)
