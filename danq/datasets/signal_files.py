"""Find the signal files of tracks, in folders, as files, or in a track sheet."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from danq.datasets.track_files import check_tracks
from danq.datasets.track_sheet import Track, is_stream, read_sheet
from danq.errors import InputError, few
from danq.files.open_input import check_file, open_raw
from danq.files.text_tables import text_rows
from danq.genome.signal.bigwig import is_bigwig
from danq.genome.signal.wiggle import is_wiggle

SIGNAL_ENDINGS = (".bw", ".bigwig", ".bedgraph", ".bdg", ".bg", ".wig")
"""Extensions of signal files, in lower case."""

log = logging.getLogger("danq")


def find_signals(source: str | Path | Sequence[str | Path]) -> list[Track]:
    """List the tracks of one or several paths of signals.

    Parameters
    ----------
    source
        A folder of signal files, a signal file, a track sheet, or several of these. Signal files
        have one of `SIGNAL_ENDINGS`, text also with .gz; the tracks of a folder are sorted by name.
        Any other file is a signal if its content is one, and otherwise a track sheet
        (`danq.datasets.track_sheet.read_sheet`). The track of a signal file is named after the
        file, without its extensions.

    Returns
    -------
    list of Track
        In the order of the paths.

    Raises
    ------
    InputError
        As `read_sheet` and `danq.datasets.track_files.check_tracks`; when a path is missing, or a
        folder has no signal file.
    """
    paths = [source] if isinstance(source, str | Path) else list(source)
    tracks: list[Track] = []
    for path in map(Path, paths):
        if path.is_dir():
            tracks += _folder(path)
        elif not path.exists():
            raise InputError("no such file or folder", file=path, remedy="Check the path")
        elif (stem := _stem(path)) is not None:
            tracks.append(Track(stem, path))
        else:
            tracks += _other_file(path)
    if not tracks:
        raise InputError(
            "no tracks were given", remedy="Give a folder of signal files, or a track sheet"
        )
    check_tracks(tracks)
    return tracks


def _stem(path: Path) -> str | None:
    """Name without the extensions of a signal file, or None for other files."""
    name = path.name
    if name.lower().endswith((".gz", ".bgz")):
        name = name[: name.rindex(".")]
    return name[: name.rindex(".")] if name.lower().endswith(SIGNAL_ENDINGS) else None


def _folder(folder: Path) -> list[Track]:
    files = sorted(path for path in folder.iterdir() if path.name[0] != "." and not path.is_dir())
    tracks = [Track(stem, path) for path in files if (stem := _stem(path))]
    for track in tracks:
        check_file(track.path)
    others = [path.name for path in files if _stem(path) is None]
    if tracks and others:
        log.warning(
            "%s: %d of %d files are not signals by their extension and are left out: %s",
            folder,
            len(others),
            len(files),
            few(others),
        )
    if not tracks:
        raise InputError(
            f"none of the {len(files)} files in this folder is a signal file",
            file=folder,
            remedy=f"Signal files end in {', '.join(SIGNAL_ENDINGS)}, or in these and .gz",
        )
    return tracks


def _other_file(path: Path) -> list[Track]:
    """Tracks of a file without the extension of signals: a track sheet, or a signal."""
    if not _is_signal(path):
        return read_sheet(path)
    if is_stream(path):
        raise InputError(
            "holds a signal, and its name cannot be the name of a track",
            file=path,
            remedy="Save it under the name of the track, such as CTCF.bw; a named pipe may have "
            "such a name",
        )
    log.info("%s: read as a signal", path)
    return [Track(path.name.partition(".")[0] or path.name, path)]


def _is_signal(path: Path) -> bool:
    with open_raw(check_file(path)) as handle:
        if is_bigwig(handle.read(4)):
            return True
    row = next(text_rows(path), None)
    if row is None:
        return False
    fields = row.text.split()
    return (
        is_wiggle(row.text)
        or fields[0] in ("track", "browser")
        or (len(fields) == 4 and fields[1].isdigit() and fields[2].isdigit())
    )
