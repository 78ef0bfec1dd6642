"""Read wiggle files (wig) with fixedStep and variableStep sections."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from danq.errors import InputError
from danq.files.text_tables import text_blocks
from danq.genome.bed import WHOLE_NUMBER
from danq.genome.signal.bedgraph import number_in
from danq.genome.signal.segments import Segments, SignalContigs

_SECTION = re.compile(r"(fixedStep|variableStep)\b(.*)")
_SETTING = re.compile(r"(\w+)=(\S+)")
_REMEDY = "A section begins with: fixedStep chrom=NAME start=1 step=1, or variableStep chrom=NAME"
_UNUSUAL = re.compile(r"[^0-9.eE+\-\s]")
_MOST = 1 << 62


class _Section(NamedTuple):
    """Declaration of a section: positions count from 1, as in the file."""

    name: str
    fixed: bool
    span: int
    step: int
    next: int
    """Position of the next value of a fixedStep section."""


def is_wiggle(line: str) -> bool:
    """Whether a line begins a section of a wiggle file."""
    return _SECTION.match(line) is not None


def read_wiggle(path: str | Path, contigs: SignalContigs) -> Iterator[Segments]:
    """Yield the segments of a wiggle file.

    Positions of the file count from 1. Lines that start with ``#``, ``track`` or ``browser`` and
    blank lines are skipped. A missing value (NA, NaN, a dot) is NaN.

    Parameters
    ----------
    path
        Plain, gzip or bgzip file. Sections are sorted by position within a contig.
    contigs
        Finds the genome's contigs; segments of other contigs are left out.

    Raises
    ------
    InputError
        At the first line that is neither a section nor a value, and at a value that cannot be right
        next to the one before (see `danq.genome.signal.segments.first_problem`).
    """
    path, number = Path(path), 1
    section: _Section | None = None
    for block in text_blocks(path):
        lines = block.decode("utf-8").removesuffix("\n").split("\n")
        declared = [i for i, line in enumerate(lines) if line[:1] in "fvtb#" or not line.strip()]
        for low, high in zip([-1, *declared], [*declared, len(lines)], strict=True):
            if low >= 0:
                section = _declared(lines[low], path, number + low, section)
            if high > low + 1:
                if section is None:
                    raise _bad(path, number + low + 1, "a value comes before the first section")
                values = lines[low + 1 : high]
                first = number + low + 1
                found, section = _values(values, section, path, first)
                segments = _placed(found, section, contigs, first)
                if segments is not None:
                    yield segments
        number += block.count(b"\n")


def _declared(line: str, path: Path, number: int, section: _Section | None) -> _Section | None:
    """The section that a line begins; other lines that are not values continue the last one."""
    if not line.strip() or line.startswith("#"):
        return section
    if line.split()[0] in ("track", "browser"):
        return None
    match = _SECTION.match(line)
    if match is None:
        raise _bad(path, number, f"the line is neither a section nor a value ({line[:40]!r})")
    settings = dict(_SETTING.findall(match[2]))
    fixed = match[1] == "fixedStep"
    required = {"chrom", "start"} if fixed else {"chrom"}
    allowed = required | ({"step", "span"} if fixed else {"span"})
    if len(settings) != len(match[2].split()) or not required <= settings.keys() <= allowed:
        raise _bad(path, number, f"the section is incomplete or has unknown parts ({line[:60]!r})")
    sizes = {}
    for name in ("start", "step", "span"):
        text = settings.get(name, "1")
        if not WHOLE_NUMBER.fullmatch(text) or int(text) < 1:
            raise _bad(path, number, f"{name} is {text!r}, not a whole number from 1")
        sizes[name] = int(text)
    return _Section(settings["chrom"], fixed, sizes["span"], sizes["step"], sizes["start"])


class _Values(NamedTuple):
    start: np.ndarray
    value: np.ndarray


def _values(
    lines: list[str], section: _Section, path: Path, number: int
) -> tuple[_Values, _Section]:
    """0-based starts and values of consecutive lines, and the section after them."""
    if section.fixed:
        value = _numbers(lines, path, number)
        start = section.next - 1 + section.step * np.arange(len(lines), dtype=np.int64)
        after = min(_MOST, section.next + section.step * len(lines))
        return _Values(start, value), section._replace(next=after)
    fields = [line.split() for line in lines]
    for index, each in enumerate(fields):
        if len(each) != 2 or not WHOLE_NUMBER.fullmatch(each[0]):
            raise _bad(
                path,
                number + index,
                f"the line is not a position and a value ({lines[index][:40]!r})",
            )
    start = np.array([int(each[0]) for each in fields], np.int64) - 1
    return _Values(start, _numbers([each[1] for each in fields], path, number)), section


def _numbers(texts: list[str], path: Path, number: int) -> np.ndarray:
    if _UNUSUAL.search("\n".join(texts)) is None:
        try:
            return np.array([float(text) for text in texts])
        except ValueError:
            pass
    return np.array([number_in(text.strip(), path, number + i) for i, text in enumerate(texts)])


def _placed(
    found: _Values, section: _Section, contigs: SignalContigs, number: int
) -> Segments | None:
    contig = contigs.enter(section.name, number)
    if contig is None:
        return None
    segments = Segments(contig, found.start, found.start + section.span, found.value)
    return contigs.check(segments, lambda index: number + index)


def _bad(path: Path, line: int, problem: str) -> InputError:
    return InputError(problem, file=path, line=line, remedy=_REMEDY)
