"""Regions of a genome: ``chr:start-end`` as a user types it, and intervals inside a contig."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from danq.errors import InputError, few
from danq.genome.contig_names import ContigBridge, report_renamed

log = logging.getLogger("danq")

NUMBER = r"[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+"
BOUNDS = re.compile(rf"(?P<start>{NUMBER})?(?P<dash>-)?(?P<end>{NUMBER})?")
SEPARATOR = re.compile(r",(?![0-9]{3}(?:[-,]|$))")
"""A comma that is not between thousands."""

REMEDY = "Write chr:start-end, 1-based with both ends included, or chr alone"


class Region(NamedTuple):
    """An interval of a contig, 0-based half-open."""

    contig: str
    start: int
    end: int


class UnknownContig(InputError):
    """A region on a contig that the genome does not have.

    Attributes
    ----------
    name
        The contig.
    """

    def __init__(self, name: str, bridge: ContigBridge, file: str | Path | None) -> None:
        self.name = name
        super().__init__(
            f"no contig '{name}': the genome has {few(bridge.names)}{bridge.hint([name])}",
            file=file,
            remedy="Check the name of the contig",
        )


def parse_regions(
    texts: str | Sequence[str],
    contigs: Mapping[str, int],
    *,
    chrom_map: Mapping[str, str] | None = None,
    file: str | Path | None = None,
    source: str = "the region",
) -> list[Region]:
    """Read regions of a genome as a user types them.

    The forms are those of samtools, 1-based and closed: ``chr``, ``chr:start-end``,
    ``chr:start-`` (to the end of the contig), ``chr:-end`` (from its start), and the same with
    the name in braces. The numbers may have commas between thousands. A name that the genome has
    is the whole contig, even if it looks like ``name:start-end``. Only ``chr:start`` is refused,
    because samtools reads it to the end of the contig, and bcftools as one base.

    Parameters
    ----------
    texts
        Regions; a text is split at the commas that separate regions.
    contigs
        Length of each contig of the genome, by name. Names are matched as in
        `danq.genome.contig_names.ContigBridge`.
    chrom_map
        Contig names of the regions to names of the genome.
    file
        The genome's file, for messages.
    source
        Origin of the regions, for messages.

    Returns
    -------
    list of Region
        In the order of the texts.

    Raises
    ------
    UnknownContig
        When the genome does not have a contig.
    InputError
        When a text is not a region, a region is not inside its contig, or commas can be read in
        two ways.

    Examples
    --------
    >>> parse_regions("chrIV:1,001-2,000,chrI", {"chrI": 500, "chrIV": 3000})
    [Region(contig='chrIV', start=1000, end=2000), Region(contig='chrI', start=0, end=500)]
    """
    bridge = ContigBridge(contigs, source=source, chrom_map=chrom_map)
    listed = _split(texts, bridge) if isinstance(texts, str) else [text.strip() for text in texts]
    regions: list[Region] = []
    matched: dict[str, str | None] = {}
    for text in listed:
        name, bounds = _read(text, bridge, file)
        contig = matched[name] = bridge.find(name).contig
        assert contig is not None
        regions.append(_inside(text, contig, bounds, contigs[contig], file))
    renamed = {name: contig for name, contig in matched.items() if name != contig}
    report_renamed(bridge, renamed)
    return regions


def split_name(text: str) -> tuple[str, str]:
    """Split a region at the colon before its bounds; an empty name if there is no colon.

    The name may be in braces, as samtools writes names with a colon.
    """
    name, _, bounds = text.rpartition(":")
    braced = len(name) > 2 and name[0] == "{" and name[-1] == "}"
    return (name[1:-1] if braced else name), bounds


def check_interval(contigs: dict[str, int], name: str, start: int, end: int | None) -> None:
    """Refuse an interval that is not inside a contig; 0-based half-open.

    Raises
    ------
    InputError
        When ``name`` is not in ``contigs``, ``start`` is negative, ``end`` is below
        ``start`` or ``end`` is above the contig's length.
    """
    if name not in contigs:
        raise InputError(f"no contig '{name}': the genome has {few(contigs, 5)}")
    stop = contigs[name] if end is None else end
    if not 0 <= start <= stop <= contigs[name]:
        raise InputError(
            f"{name}:{start}-{stop} (0-based half-open) is not inside the contig, "
            f"which has {contigs[name]:,} bases"
        )


def _read(text: str, bridge: ContigBridge, file: str | Path | None) -> tuple[str, str]:
    """Name and bounds of a region; no bounds for a whole contig."""
    if not text:
        raise _bad_region(text, "has no contig name", file)
    name, bounds = _split_name(text, bridge)
    exact, split = bridge.find(text).contig, bridge.find(name).contig
    valid = bool(bounds) and BOUNDS.fullmatch(bounds) is not None
    if exact is not None and (exact == text or split != name):
        if split is not None and valid:
            log.info(
                "%s '%s': read as the contig of that name; for a part of %s, write {%s}:%s",
                bridge.source, text, split, name, bounds,
            )  # fmt: skip
        return text, ""
    if text[0] == "{" and text[-1] == "}":
        text = text[1:-1]
        if bridge.find(text).contig is not None:
            return text, ""
        raise UnknownContig(text, bridge, file)
    if split is not None:
        if not valid:
            raise _bad_region(text, f"has '{bounds}' after the colon, not start-end", file)
        return name, bounds
    if text[0] == ":":
        raise _bad_region(text, "has no contig name", file)
    if any(letter.isspace() for letter in text):
        raise _bad_region(text, "has spaces", file)
    raise UnknownContig(name if _is_bounds(bounds) else text, bridge, file)


def _split_name(text: str, bridge: ContigBridge) -> tuple[str, str]:
    """Name and bounds; braces remain where they are part of a contig's name."""
    name, _, bounds = text.rpartition(":")
    return (name, bounds) if bridge.find(name).contig is not None else split_name(text)


def _inside(text: str, contig: str, bounds: str, length: int, file: str | Path | None) -> Region:
    found = BOUNDS.fullmatch(bounds)
    assert found is not None
    start, end = (
        None if number is None else int(number.replace(",", ""))
        for number in (found["start"], found["end"])
    )
    if bounds and found["dash"] is None:
        raise InputError(
            f"the region '{text}' has a start and no end",
            file=file,
            remedy=f"Write {contig}:{start}-{start} for one base, or {contig}:{start}- for all "
            "bases from there to the end of the contig",
        )
    if bounds and start is None and end is None:
        raise _bad_region(text, f"has '{bounds}' after the colon, not start-end", file)
    start, stop = (1 if start is None else start), (length if end is None else end)
    if start < 1:
        raise _bad_region(text, f"starts at {start}, below 1", file)
    if end is not None and end < start:
        raise _bad_region(text, f"ends at {end}, below its start, {start}", file)
    if not start <= stop <= length:
        raise InputError(
            f"the region {contig}:{start}-{stop} is not inside {contig}, which has {length:,} "
            "bases",
            file=file,
            remedy=f"Regions are 1-based and closed; choose one within {contig}:1-{length}",
        )
    return Region(contig, start - 1, stop)


def _split(text: str, bridge: ContigBridge) -> list[str]:
    """Split a list at its commas; commas in names and between thousands remain."""
    parts = text.split(",")
    if not all(part.strip() for part in parts):
        raise InputError(
            f"the list '{text}' has an empty entry" if text.strip() else "the list is empty",
            remedy="Write contigs or regions, separated by commas, such as chr8,chr9:1-500000",
        )
    longest = max((name.count(",") for name in bridge.names), default=0)
    # A number has up to three commas.
    most = longest + 7
    # For each index, up to two ways to read the rest of the list.
    ways: list[list[list[str]]] = [[] for _ in parts] + [[[]]]
    for first in reversed(range(len(parts))):
        for after in range(first + 1, min(len(parts), first + most) + 1):
            entry = ",".join(parts[first:after]).strip()
            if ways[after] and _is_region(entry, bridge):
                ways[first] += [[entry, *rest] for rest in ways[after]]
        del ways[first][2:]
    if len(ways[0]) == 2:
        one, other = (" and ".join(way) for way in ways[0])
        raise InputError(
            f"the list '{text}' can be read as {one}, or as {other}",
            remedy="Write numbers without commas",
        )
    # The first region that is wrong is reported later.
    return ways[0][0] if ways[0] else [part.strip() for part in SEPARATOR.split(text)]


def _is_region(text: str, bridge: ContigBridge) -> bool:
    if bridge.find(text).contig is not None:
        return True
    name, bounds = _split_name(text, bridge)
    braced = text[0] == "{" and text[-1] == "}" and bridge.find(text[1:-1]).contig is not None
    return braced or (bridge.find(name).contig is not None and _is_bounds(bounds))


def _is_bounds(text: str) -> bool:
    found = BOUNDS.fullmatch(text)
    return bool(found and found["dash"] and (found["start"] or found["end"]))


def _bad_region(text: str, problem: str, file: str | Path | None) -> InputError:
    return InputError(f"the region '{text}' {problem}", file=file, remedy=REMEDY)
