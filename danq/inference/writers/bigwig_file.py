"""Write a bigWig file from arrays.

Notes
-----
The format: Kent et al., Bioinformatics 2010, supplementary tables 5-21.
`danq.genome.signal.bigwig` reads it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Mapping
from typing import BinaryIO, NamedTuple

import numpy as np

from danq.genome.signal.bigwig import (
    BEDGRAPH,
    CHROM_HEADER,
    CHROM_MAGIC,
    FIXED_STEP,
    HEADER,
    INDEX_HEADER,
    INDEX_MAGIC,
    MAGIC,
    SECTION,
    VARIABLE_STEP,
)
from danq.typing import IntRow

VERSION = 4
ITEMS = 1024
"""Rows of a section, and summaries of a block."""

BRANCHES = 256
"""Items of a node of a tree."""

ZOOMS = 10
"""Maximum number of zoom levels."""

FIRST_ZOOM, NEXT_ZOOM = 32, 4
"""Rows per summary of the first level, and summaries per summary of each further level.

The summaries of a file are in memory, one byte per row.
"""

COMPRESSION = 1
"""Level of zlib. For predictions, level 6 takes twice as long and saves less than one percent."""

_ZOOM = struct.Struct("<IIQQ")
_TOTAL = struct.Struct("<Qdddd")

_ROW = np.dtype([("start", "<u4"), ("end", "<u4"), ("value", "<f4")])
_SUMMARY = np.dtype(
    [("contig", "<u4"), ("start", "<u4"), ("end", "<u4"), ("bases", "<u4")]
    + [(name, "<f4") for name in ("low", "high", "sum", "squares")]
)
_BOUNDS = [(name, "<u4") for name in ("contig", "start", "end_contig", "end")]
_LEAF = np.dtype([*_BOUNDS, ("offset", "<u8"), ("size", "<u8")])


class ContigRows(NamedTuple):
    """Rows of a contig, ascending and without overlap, or the next of them.

    Attributes
    ----------
    name
        Name of the contig.
    start, end
        ``(n,)`` 0-based, half-open.
    value
        ``(n,)`` finite values.
    """

    name: str
    start: IntRow
    end: IntRow
    value: np.ndarray


def write_bigwig(file: BinaryIO, lengths: Mapping[str, int], rows: Iterable[ContigRows]) -> None:
    """Write a bigWig file.

    Parameters
    ----------
    file
        Empty file, open for writing.
    lengths
        Bases of each contig, sorted by name.
    rows
        Rows, contig by contig in that order; memory grows with their number by a few bytes each.

    Raises
    ------
    OSError
        When the operating system refuses, as on a full disk.
    """
    numbers = {name: number for number, name in enumerate(lengths)}
    file.write(bytes(HEADER.size + ZOOMS * _ZOOM.size + _TOTAL.size))
    tree = _write_contigs(file, lengths)
    data = file.tell()
    file.write(bytes(8))
    sections: list[tuple[int, ...]] = []
    finest: list[np.ndarray] = []
    covered, low, high, total, squares = 0, np.inf, -np.inf, 0.0, 0.0
    step = 0
    for name, start, end, value in rows:
        if not len(start):
            continue
        number = numbers[name]
        _write_sections(file, number, start, end, value, sections)
        # All rows have one step, so that the levels have, too.
        step = step or max(FIRST_ZOOM, FIRST_ZOOM * round(float((end - start).mean())))
        finest.append(_summarised_rows(number, lengths[name], start, end, value, step))
        bases, exact = end - start, value.astype(np.float64)
        covered += int(bases.sum())
        low, high = min(low, float(exact.min())), max(high, float(exact.max()))
        total, squares = total + float(exact @ bases), squares + float(exact**2 @ bases)
    index = _write_index(file, sections)
    if not sections:
        low = high = 0.0
    levels = _write_zooms(file, finest, step, np.array(list(lengths.values()), np.int64))
    file.write(struct.pack("<I", MAGIC))
    file.seek(0)
    most = max(SECTION.size + ITEMS * _ROW.itemsize, ITEMS * _SUMMARY.itemsize)
    after = HEADER.size + ZOOMS * _ZOOM.size
    head = (MAGIC, VERSION, len(levels), tree, data, index, 0, 0, 0, after, most, 0)
    file.write(HEADER.pack(*head))
    for bases, first, where in levels:
        file.write(_ZOOM.pack(bases, 0, first, where))
    file.seek(after)
    file.write(_TOTAL.pack(covered, low, high, total, squares))
    file.seek(data)
    file.write(struct.pack("<Q", len(sections)))


def _write_contigs(file: BinaryIO, lengths: Mapping[str, int]) -> int:
    """Write names, numbers and lengths of contigs; return where."""
    at, names = file.tell(), [name.encode() for name in lengths]
    width = max(map(len, names), default=1)
    leaf = np.dtype([("key", f"S{width}"), ("number", "<u4"), ("length", "<u4")])
    items = np.array(
        [(name, number, lengths[name.decode()]) for number, name in enumerate(names)], leaf
    )
    file.write(CHROM_HEADER.pack(CHROM_MAGIC, BRANCHES, width, 8, len(items), 0))
    _write_tree(file, items, np.dtype([("key", f"S{width}"), ("child", "<u8")]))
    return at


def _write_sections(
    file: BinaryIO,
    number: int,
    start: IntRow,
    end: IntRow,
    value: np.ndarray,
    sections: list[tuple[int, ...]],
) -> None:
    """Write the rows of a contig, and add the bounds of each section and where it is."""
    rows = np.empty(len(start), _ROW)
    rows["start"], rows["end"], rows["value"] = start, end, value
    at = file.tell()
    for first in range(0, len(rows), ITEMS):
        part = rows[first : first + ITEMS]
        low, high = int(part["start"][0]), int(part["end"][-1])
        kind, step, span = _kind(part)
        content = part
        if kind == FIXED_STEP:
            content = part["value"]
        elif kind == VARIABLE_STEP:
            content = part[["start", "value"]].astype([("start", "<u4"), ("value", "<f4")])
        head = SECTION.pack(number, low, high, step, span, kind, 0, len(part))
        packed = zlib.compress(head + content.tobytes(), COMPRESSION)
        file.write(packed)
        sections.append((number, low, number, high, at, len(packed)))
        at += len(packed)


def _kind(rows: np.ndarray) -> tuple[int, int, int]:
    """The smallest kind of section for some rows, with its step and span."""
    spans = rows["end"] - rows["start"]
    if (spans != spans[0]).any():
        return BEDGRAPH, 0, 0
    span = int(spans[0])
    steps = np.diff(rows["start"])
    if len(steps) and (steps != steps[0]).any():
        return VARIABLE_STEP, 0, span
    return FIXED_STEP, int(steps[0]) if len(steps) else span, span


def _write_index(file: BinaryIO, sections: list[tuple[int, ...]]) -> int:
    """Write the index of sections or blocks; return where."""
    at = file.tell()
    items = np.array(sections, _LEAF)
    bounds = (0, 0, 0, 0)
    if len(items):
        first, last = items[0], items[-1]
        bounds = (first["contig"], first["start"], last["end_contig"], last["end"])
    head = (INDEX_MAGIC, BRANCHES, len(items), *map(int, bounds), at, ITEMS, 0)
    file.write(INDEX_HEADER.pack(*head))
    _write_tree(file, items, np.dtype([*_BOUNDS, ("child", "<u8")]))
    return at


def _write_tree(file: BinaryIO, leaves: np.ndarray, inner: np.dtype) -> None:
    """Write the nodes of a tree, the root first."""
    levels = [leaves]
    while len(levels[0]) > BRANCHES:
        below = levels[0]
        first = np.arange(0, len(below), BRANCHES)
        items = np.zeros(len(first), inner)
        for name in set(inner.names or ()) - {"child"}:
            last = np.minimum(first + BRANCHES, len(below)) - 1
            items[name] = below[name][last if name.startswith("end") else first]
        levels.insert(0, items)
    at = file.tell()
    for depth, items in enumerate(levels):
        nodes = [items[low : low + BRANCHES] for low in range(0, max(1, len(items)), BRANCHES)]
        at += sum(4 + node.nbytes for node in nodes)
        leaf = depth == len(levels) - 1
        if not leaf:
            sizes = 4 + levels[depth + 1].itemsize * np.full(len(items), BRANCHES)
            items["child"] = at + np.concatenate([[0], np.cumsum(sizes[:-1])])
        for node in nodes:
            file.write(struct.pack("<BBH", leaf, 0, len(node)) + node.tobytes())


def _summarised_rows(
    number: int, length: int, start: IntRow, end: IntRow, value: np.ndarray, step: int
) -> np.ndarray:
    """Summaries of the rows of a contig, one for each ``step`` bases with rows."""
    first = start // step
    counts = (end - 1) // step - first + 1
    row = np.repeat(np.arange(len(start)), counts)
    part = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    interval = first[row] + part
    overlap = np.minimum(end[row], (interval + 1) * step) - np.maximum(start[row], interval * step)
    exact = value.astype(np.float64)[row]
    edge = np.flatnonzero(np.diff(interval, prepend=-1))
    out = np.empty(len(edge), _SUMMARY)
    out["contig"] = number
    out["start"] = interval[edge] * step
    out["end"] = np.minimum((interval[edge] + 1) * step, length)
    out["bases"] = np.add.reduceat(overlap, edge)
    out["low"], out["high"] = np.minimum.reduceat(exact, edge), np.maximum.reduceat(exact, edge)
    out["sum"] = np.add.reduceat(exact * overlap, edge)
    out["squares"] = np.add.reduceat(exact**2 * overlap, edge)
    return out


def _joined(summaries: np.ndarray, lengths: np.ndarray, step: int) -> np.ndarray:
    """Summaries of summaries, one for each ``step`` bases."""
    if not len(summaries):
        return summaries
    interval = summaries["start"].astype(np.int64) // step
    contig = summaries["contig"]
    changed = np.diff(interval, prepend=-1) | np.diff(contig.astype(np.int64), prepend=-1)
    edge = np.flatnonzero(changed)
    out = np.empty(len(edge), _SUMMARY)
    out["contig"] = contig[edge]
    out["start"] = interval[edge] * step
    out["end"] = np.minimum((interval[edge] + 1) * step, lengths[contig[edge]])
    out["bases"] = np.add.reduceat(summaries["bases"], edge)
    out["low"] = np.minimum.reduceat(summaries["low"], edge)
    out["high"] = np.maximum.reduceat(summaries["high"], edge)
    for name in ("sum", "squares"):
        out[name] = np.add.reduceat(summaries[name].astype(np.float64), edge)
    return out


def _write_zooms(
    file: BinaryIO, finest: list[np.ndarray], step: int, lengths: np.ndarray
) -> list[tuple[int, int, int]]:
    """Write zoom levels; return bases, position of the data and of the index of each."""
    levels: list[tuple[int, int, int]] = []
    summaries = np.concatenate(finest) if finest else np.empty(0, _SUMMARY)
    # Rows that came one after the other may be in the same interval.
    summaries = _joined(summaries, lengths, step)
    contigs = len(np.unique(summaries["contig"]))
    while len(summaries) and len(levels) < ZOOMS and step < 2**32:
        if levels and len(summaries) == contigs:
            break  # one summary per contig cannot become coarser
        at = file.tell()
        file.write(struct.pack("<I", len(summaries)))
        blocks: list[tuple[int, ...]] = []
        edges = np.flatnonzero(np.diff(summaries["contig"])) + 1
        for part in np.split(summaries, edges):
            for low in range(0, len(part), ITEMS):
                block = part[low : low + ITEMS]
                packed = zlib.compress(block.tobytes(), COMPRESSION)
                number, last = int(block["contig"][0]), int(block["end"][-1])
                where = (number, int(block["start"][0]), number, last, file.tell(), len(packed))
                file.write(packed)
                blocks.append(where)
        levels.append((step, at, _write_index(file, blocks)))
        step *= NEXT_ZOOM
        summaries = _joined(summaries, lengths, step)
    return levels
