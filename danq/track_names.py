"""Names of tracks: for files whose tracks have none, and to pick tracks by."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from danq.errors import InputError

PUBLISHED = (("DNase", 125), ("TF", 690), ("histone", 104))
"""Groups of DeepSEA's 919 tracks, in the order that they were published in."""

_HEADS = (["name"], ["name", "group"])
_PAPER = ["cell type", "tf/dnase/histonemark", "treatment"]

FEW = 8
"""Names up to which a message lists them all."""

NEAR = 3
"""Near names that a message offers at most."""


def pick_tracks(
    wanted: Sequence[str],
    known: Sequence[str],
    *,
    whose: str,
    listing: str | None = None,
    file: str | Path | None = None,
) -> tuple[int, ...]:
    """Numbers (from 0) of the tracks that are wanted, in the order wanted.

    Parameters
    ----------
    wanted
        Their names.
    known
        Names of all tracks.
    whose
        What has the tracks, as "the model".
    listing
        What shows all of their names, as "'danq summary MODEL --all'"; None where they are few
        enough for a message.
    file
        File that has the tracks.

    Raises
    ------
    InputError
        When a name is not known (with the names nearest to it), none is given, one is given
        twice, or ``wanted`` is a text.
    """
    if isinstance(wanted, str):
        raise InputError(
            f"the tracks are the text '{wanted}', not a list of names",
            remedy=f"Write tracks=['{wanted}'] for a single one",
        )
    places = {name: number for number, name in enumerate(known)}
    for name in wanted:
        if name not in places:
            raise InputError(
                f"{whose} has no track '{name}'", file=file, remedy=_advice(name, known, listing)
            )
    if not wanted:
        raise InputError("no track is named", remedy="Name one, or leave the choice out for all")
    name, times = Counter(wanted).most_common(1)[0]
    if times > 1:
        raise InputError(f"track '{name}' is named twice", remedy="Name each track once")
    return tuple(places[name] for name in wanted)


def near_names(name: str, known: Sequence[str]) -> list[str]:
    """The names most like one, the likest first: in spelling, then those that hold it."""
    lowered: dict[str, list[str]] = {}
    for one in known:
        lowered.setdefault(one.casefold(), []).append(one)
    sought = name.casefold()
    like = difflib.get_close_matches(sought, lowered, n=NEAR)
    holding = [one for one in lowered if sought and sought in one and one not in like]
    return [one for key in (*like, *holding) for one in lowered[key]][:NEAR]


def _advice(name: str, known: Sequence[str], listing: str | None) -> str:
    near = [f"'{one}'" for one in near_names(str(name), known)]
    rest = f"{listing} lists all {len(known):,}"
    if listing is None or len(known) <= FEW:
        rest = f"There {'is' if len(known) == 1 else 'are'} {', '.join(known)}"
    return f"Did you mean {' or '.join(near)}? {rest}" if near else rest


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
