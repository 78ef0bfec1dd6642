"""Names and groups of tracks, for files whose tracks have none."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from danq.errors import InputError

PUBLISHED = (("DNase", 125), ("TF", 690), ("histone", 104))
"""Groups of DeepSEA's 919 tracks, in the order that they were published in."""

_HEADS = (["name"], ["name", "group"])
_PAPER = ["cell type", "tf/dnase/histonemark", "treatment"]


def track_names(path: str | Path | None, tracks: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names and groups of so many tracks.

    Parameters
    ----------
    path
        Text with a line a track: its name, or tab-separated name and group, with or without a
        line that heads them. Or the table of figures that DanQ's authors published (``Cell
        Type``, ``TF/DNase/HistoneMark``, ``Treatment``, then figures): names are then
        ``cell|mark|treatment``. Blank lines and lines that begin with ``#`` are skipped. None
        numbers the tracks.
    tracks
        Tracks ``K``.

    Returns
    -------
    names, groups
        A name that several tracks have gets ``#`` and the track's number, from 1: only 844 of
        DeepSEA's 919 names are unique. Where the file gives no groups, 919 tracks are taken for
        DeepSEA's; others have none.

    Raises
    ------
    InputError
        When the file cannot be read, does not have so many names, an empty one, or a line of
        other columns.
    """
    groups: tuple[str, ...] = ("",) * tracks
    if tracks == sum(count for _, count in PUBLISHED):
        groups = tuple(name for name, count in PUBLISHED for _ in range(count))
    if path is None:
        width = len(str(tracks))
        return tuple(f"track{number:0{width}}" for number in range(1, tracks + 1)), groups
    rows = _read(Path(path))
    if len(rows) != tracks:
        raise InputError(
            f"{len(rows):,} names for {tracks:,} tracks",
            file=path,
            remedy="Write one line a track, in the order of the labels",
        )
    if any(group for _, group in rows):
        groups = tuple(group for _, group in rows)
    return _unique([name for name, _ in rows], Path(path)), groups


def _read(path: Path) -> list[tuple[str, str]]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read as text: {error}", file=path) from error
    rows: list[tuple[str, str]] = []
    head: list[str] | None = None
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = [field.strip() for field in line.split("\t")]
        if head is None:
            head = [field.lower() for field in fields]
            if head in _HEADS or head[:3] == _PAPER:
                continue
            head = []
        if head[:3] == _PAPER:
            fields = ["|".join(fields[:3])]
        if len(fields) > 2 or not fields[0]:
            raise InputError(
                f"{len(fields)} columns, not a name and perhaps a group",
                file=path,
                line=number,
                remedy="Write the name, and if wanted a tab and the group",
            )
        rows.append((fields[0], fields[1] if len(fields) == 2 else ""))
    return rows


def _unique(names: list[str], path: Path) -> tuple[str, ...]:
    count = Counter(names)
    unique = tuple(
        f"{name}#{number}" if count[name] > 1 else name
        for number, name in enumerate(names, start=1)
    )
    twice = [name for name, times in Counter(unique).items() if times > 1]
    if twice:
        raise InputError(f"two tracks would be named '{twice[0]}'", file=path)
    return unique
