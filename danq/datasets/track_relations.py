"""Relations of tracks: the two strands of one signal, and replicates of one experiment."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

from danq.datasets.track_sheet import Track
from danq.errors import InputError, few

STRANDS = (("plus", "minus"), ("fwd", "rev"), ("forward", "reverse"))
"""Words in the names of tracks for the forward and the reverse strand."""

_OTHER = {one: two for pair in STRANDS for one, two in (pair, pair[::-1])}
_WORD = re.compile(rf"(?<![a-z])({'|'.join(_OTHER)})(?![a-z])", re.IGNORECASE)
_REPLICATE = re.compile(r"[._ -]*(?<![a-z])rep(licate)?[._ -]?[0-9]+(?![a-z0-9])", re.IGNORECASE)

log = logging.getLogger("danq")


def strand_partners(tracks: Sequence[Track]) -> tuple[int, ...]:
    """Index of the track that has the values of each track on the reverse strand.

    A track that names another one (`Track.reverse`) is its partner; one that names itself has none.
    Other tracks whose names differ only in a pair of `STRANDS` are partners, with a notice.

    Returns
    -------
    The index of the track itself where it has no partner; empty if no track has one.

    Raises
    ------
    InputError
        When a track names one that does not exist, or two tracks name the same one.
    """
    index = {track.name: number for number, track in enumerate(tracks)}
    partner = [*range(len(tracks))]
    given = {number for number, track in enumerate(tracks) if track.reverse}
    for number in sorted(given):
        track = tracks[number]
        other = index.get(track.reverse)
        if other is None:
            raise InputError(
                f"the track of the other strand, '{track.reverse}', is not a track of a signal",
                file=track.path,
                record=track.name,
                remedy="Name the track of the reverse strand in the column reverse_track",
            )
        taken = {partner[number], partner[other]} - {number, other}
        if taken or (tracks[other].reverse not in ("", track.name)):
            raise InputError(
                f"'{track.reverse}' is named as the other strand of '{track.name}', and belongs to "
                "another track",
                record=track.name,
                remedy="Name each track of a strand once in the column reverse_track",
            )
        partner[number], partner[other] = other, number
        given = given | {other}
    alone = []
    for number, track in enumerate(tracks):
        word = None if number in given else _WORD.search(track.name)
        if word is None:
            continue
        other = index.get(_replaced(track.name, word))
        if other is None or other in given:
            alone.append(track.name)
            continue
        partner[number], partner[other] = other, number
    _report(tracks, partner, alone)
    return tuple(partner) if partner != [*range(len(tracks))] else ()


def replicate_names(
    tracks: Sequence[str], given: Sequence[str] = (), path: Path | None = None
) -> tuple[str, ...]:
    """Name of the experiment that each track is a replicate of; empty for other tracks.

    Parameters
    ----------
    tracks
        Names of the tracks. Those that differ only in a part such as ``rep1`` are replicates.
    given
        Names of experiments, which take precedence where they are not empty.
    path
        File for the notice.

    Returns
    -------
    Empty if no two tracks are replicates.
    """
    found = []
    for number, track in enumerate(tracks):
        name = given[number] if given else ""
        word = _REPLICATE.search(track)
        if not name and word is not None:
            name = track[: word.start()] + track[word.end() :]
        found.append(name)
    count = {name: found.count(name) for name in set(found) - {""}}
    alone = [name for name, members in count.items() if members < 2 and name in given]
    if alone:
        log.warning("only one track is a replicate of %s", few(alone))
    found = [name if count.get(name, 0) > 1 else "" for name in found]
    if not any(found):
        return ()
    log.info(
        "%s%s tracks are replicates of %s experiments: %s",
        "" if path is None else f"{path}: ",
        f"{sum(map(bool, found)):,}",
        f"{len(set(found) - {''}):,}",
        few(sorted(set(found) - {""})),
    )
    return tuple(found)


def _replaced(name: str, word: re.Match[str]) -> str:
    """The name with the other word of the pair, in the same case."""
    other = _OTHER[word[0].lower()]
    other = other.upper() if word[0].isupper() else other
    other = other.capitalize() if word[0].istitle() else other
    return name[: word.start()] + other + name[word.end() :]


def _report(tracks: Sequence[Track], partner: Sequence[int], alone: Sequence[str]) -> None:
    pairs = [
        f"{tracks[one].name} and {tracks[two].name}" for one, two in enumerate(partner) if one < two
    ]
    if pairs:
        log.info(
            "%d pairs of tracks are the two strands of one signal (%s): for the reverse complement "
            "of a sequence they are exchanged. If they are not, name each track itself in a column "
            "reverse_track of the track sheet.",
            len(pairs),
            few(pairs),
        )
    if alone:
        log.warning(
            "The names of tracks say that they are of one strand, but there are no tracks of the "
            "other strand: %s. Both strands of a sequence get their values; build the dataset as "
            "oriented to use the forward strand only.",
            few(alone),
        )
