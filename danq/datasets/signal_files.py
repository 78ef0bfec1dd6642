"""Find the signal files of tracks, in folders, as files, or in a track sheet."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from danq.datasets.track_files import TrackFiles
from danq.datasets.track_sheet import Track, is_stream, read_sheet
from danq.errors import InputError
from danq.files.open_input import check_file, open_raw
from danq.files.text_tables import first_line
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
    return SIGNALS.find(source)


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
    line = first_line(path)
    if line is None:
        return False
    fields = line.split()
    return (
        is_wiggle(line)
        or fields[0] in ("track", "browser")
        or (len(fields) == 4 and fields[1].isdigit() and fields[2].isdigit())
    )


SIGNALS = TrackFiles(
    SIGNAL_ENDINGS,
    "signal file",
    "signals",
    f"Signal files end in {', '.join(SIGNAL_ENDINGS)}, or in these and .gz",
    check_file,
    _other_file,
)
