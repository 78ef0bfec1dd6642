"""Names and groups of tracks from a file, and the selection of tracks by name."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from danq.errors import InputError
from danq.files.text_tables import text_rows
from danq.names import check_name
from danq.typing import Location

PUBLISHED_GROUPS = (("DNase", 125), ("TF", 690), ("histone", 104))
"""Groups of DeepSEA's 919 tracks and their sizes, in the published order."""

_HEADERS = (["name"], ["name", "group"])
_PAPER_HEADER = ["cell type", "tf/dnase/histonemark", "treatment"]

MAX_LISTED = 8
"""A message lists all track names when there are at most this many."""

MAX_SIMILAR = 3
"""A message suggests at most this many similar names."""


def select_tracks(
    names: Sequence[str],
    known: Sequence[str],
    *,
    owner: str,
    listing: str | None = None,
    file: Location | None = None,
) -> tuple[int, ...]:
    """Indices of tracks, in the order of the requested names.

    Parameters
    ----------
    names
        Names of the requested tracks.
    known
        Names of all tracks.
    owner
        What has the tracks, such as "the model"; for messages.
    listing
        Where all names are listed, such as "the summary of the model"; for messages. None lists
        them in the message.
    file
        The file that has the tracks.

    Raises
    ------
    InputError
        When a name is unknown (the message suggests similar names), no name is given, a name is
        given twice, or ``names`` is a string.
    """
    if isinstance(names, str):
        raise InputError(
            f"the tracks are the string '{names}', not a list of names",
            remedy=f"Write tracks=['{names}'] for a single track",
        )
    indices = {name: index for index, name in enumerate(known)}
    for name in names:
        if name not in indices:
            raise InputError(
                f"{owner} has no track '{name}'", file=file, remedy=_advice(name, known, listing)
            )
    if not names:
        raise InputError("no track is named", remedy="Name one, or omit the tracks to use all")
    name, times = Counter(names).most_common(1)[0]
    if times > 1:
        raise InputError(f"track '{name}' is named twice", remedy="Name each track once")
    return tuple(indices[name] for name in names)


def similar_names(name: str, known: Sequence[str]) -> list[str]:
    """Known names that are spelt like a name, the closest first, then those that contain it."""
    lowered: dict[str, list[str]] = {}
    for one in known:
        lowered.setdefault(one.casefold(), []).append(one)
    query = name.casefold()
    close = difflib.get_close_matches(query, lowered, n=MAX_SIMILAR)
    containing = [one for one in lowered if query and query in one and one not in close]
    return [one for key in (*close, *containing) for one in lowered[key]][:MAX_SIMILAR]


def _advice(name: str, known: Sequence[str], listing: str | None) -> str:
    similar = [f"'{one}'" for one in similar_names(str(name), known)]
    rest = f"All {len(known):,} names are in {listing}"
    if listing is None or len(known) <= MAX_LISTED:
        rest = f"The tracks are {', '.join(known)}"
    return f"Did you mean {' or '.join(similar)}? {rest}" if similar else rest


def track_names(path: Location | None, tracks: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names and groups of the tracks of a file that stores none.

    Parameters
    ----------
    path
        Text file with one name per line, optionally followed by a tab and a group; a header
        ``name`` or ``name<TAB>group`` is allowed. Or the table of metrics that DanQ's authors
        published (columns ``Cell Type``, ``TF/DNase/HistoneMark``, ``Treatment``, then metrics):
        a track is then named ``cell|mark|treatment``. Empty lines and lines that start with ``#``
        are skipped. None numbers the tracks.
    tracks
        Number of tracks ``K``.

    Returns
    -------
    names, groups
        A name that several tracks share is followed by ``|`` and the number of the track, counted
        from 1: only 844 of DeepSEA's 919 names are unique. Without groups in the file,
        919 tracks get DeepSEA's groups; other tracks get none.

    Raises
    ------
    InputError
        When the file cannot be read, has another number of names or an empty name, or a line has
        other columns.
    """
    groups: tuple[str, ...] = ("",) * tracks
    if tracks == sum(count for _, count in PUBLISHED_GROUPS):
        groups = tuple(name for name, count in PUBLISHED_GROUPS for _ in range(count))
    if path is None:
        width = len(str(tracks))
        return tuple(f"track{number:0{width}}" for number in range(1, tracks + 1)), groups
    rows = _read(Path(path))
    if len(rows) != tracks:
        raise InputError(
            f"{len(rows):,} names for {tracks:,} tracks",
            file=path,
            remedy="Write one line per track, in the order of the labels",
        )
    if any(group for _, group in rows):
        groups = tuple(group for _, group in rows)
    return _unique([name for name, _ in rows], Path(path)), groups


def _read(path: Path) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    header: list[str] | None = None
    for number, fields, _ in text_rows(path):
        if header is None:
            header = [field.lower() for field in fields]
            if header in _HEADERS or header[:3] == _PAPER_HEADER:
                continue
            header = []
        if header[:3] == _PAPER_HEADER:
            fields = ["|".join(fields[:3])]
        if len(fields) > 2 or not fields[0]:
            raise InputError(
                f"{len(fields)} columns, not a name and an optional group",
                file=path,
                line=number,
                remedy="Write the name, then optionally a tab and the group",
            )
        check_name(fields[0], "track", file=path, line=number)
        if fields[1:]:
            check_name(fields[1], "group", file=path, line=number)
        rows.append((fields[0], fields[1] if len(fields) == 2 else ""))
    return rows


def _unique(names: list[str], path: Path) -> tuple[str, ...]:
    count = Counter(names)
    unique = tuple(
        f"{name}|{number}" if count[name] > 1 else name
        for number, name in enumerate(names, start=1)
    )
    repeated = [name for name, times in Counter(unique).items() if times > 1]
    if repeated:
        raise InputError(f"two tracks would be named '{repeated[0]}'", file=path)
    return unique
