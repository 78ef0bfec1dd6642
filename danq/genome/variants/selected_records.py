"""Select the records of a variant file that overlap regions of the genome."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, Protocol

import numpy as np

from danq.errors import InputError
from danq.genome.contig_names import ContigBridge
from danq.genome.regions import Region
from danq.genome.variants.raw_records import Header, Interval, Records
from danq.genome.variants.text_header import header_contigs
from danq.typing import BoolRow, IntRow

READ = 4096
"""Records that are read at a time."""

LARGEST = np.iinfo(np.int64).max


class RegionsOfFile:
    """Regions of the genome by the contig names of a file.

    Parameters
    ----------
    regions
        Regions of the genome; those that overlap or touch each other are joined.
    contigs
        Lengths of the genome's contigs.
    bridge
        Finds the genome's contig for a name of the file.
    """

    def __init__(
        self, regions: Iterable[Region], contigs: Mapping[str, int], bridge: ContigBridge
    ) -> None:
        self.bridge = bridge
        self._joined: dict[str, list[Interval]] = {}
        self._known: dict[str, list[Interval]] = {}
        for contig, start, end in sorted(regions):
            listed = self._joined.setdefault(contig, [])
            # Records beyond the end of the contig are of the whole contig, too.
            last = None if end == contigs[contig] else end
            if listed and (listed[-1][1] is None or start <= listed[-1][1]):
                first, before = listed.pop()
                last = None if before is None or last is None else max(before, last)
                start = first
            listed.append((start, last))

    def of(self, name: str) -> list[Interval]:
        """Disjoint sorted intervals of a contig of the file; empty for most contigs."""
        if name not in self._known:
            contig = self.bridge.find(name).contig
            self._known[name] = [] if contig is None else self._joined.get(contig, [])
        return self._known[name]

    def overlap(self, name: str, pos: IntRow, end: IntRow) -> BoolRow:
        """Whether records of one contig overlap a region, ``(V,)``.

        Parameters
        ----------
        name
            Their contig in the file.
        pos, end
            ``(V,)`` 1-based first and last base of each.
        """
        listed = self.of(name)
        if not listed:
            return np.zeros(len(pos), dtype=np.bool_)
        first = np.array([one for one, _ in listed])
        last = np.array([LARGEST if one is None else one for _, one in listed])
        # Of the intervals that begin before the end of a record, only the last can contain it.
        number = np.searchsorted(first, end) - 1
        return (number >= 0) & (pos <= last[number])

    def overlap_line(self, line: bytes) -> bool:
        """Whether a line of a VCF overlaps a region with its REF."""
        fields = line.split(b"\t", 4)
        if len(fields) < 4 or not fields[1].isdigit():
            return False
        pos = np.array([int(fields[1])])
        name = fields[0].decode(errors="replace")
        return bool(self.overlap(name, pos, pos + len(fields[3]) - 1)[0])


def regions_of(
    regions: Iterable[Region],
    contigs: Mapping[str, int],
    name: str,
    meta: list[str],
    chrom_map: Mapping[str, str] | None,
) -> RegionsOfFile:
    """Regions of the genome by the contig names of a file, with its name and header lines."""
    lengths = header_contigs(meta, name)
    known = {one: length for one, length in lengths.items() if length is not None}
    bridge = ContigBridge(contigs, source=name, chrom_map=chrom_map, lengths=known, plink=True)
    return RegionsOfFile(regions, contigs, bridge)


class Readable(Protocol):
    """The sources of records."""

    name: str
    header: Header
    is_table: bool
    oriented: bool

    def read(self, count: int) -> Records | None: ...


class SelectedSource:
    """The records of a source that overlap regions, numbered from 1.

    A record overlaps a region if a base of its REF is in it, or, where INFO has END, a base up to
    END, as for ``bcftools view --regions``.

    Parameters
    ----------
    source
        All records, or those near the regions, with the last base of each.
    regions
        The regions.
    expected
        By contig of the file that is selected as a whole: its number of records in the index.
    index
        The index that the source is read with, which must be of a sorted file; None for others.
    """

    def __init__(
        self,
        source: Readable,
        regions: RegionsOfFile,
        *,
        expected: Mapping[str, int] | None = None,
        index: str | None = None,
    ) -> None:
        self.name, self.header = source.name, source.header
        self.is_table, self.oriented = source.is_table, source.oriented
        self._source, self._regions, self._index = source, regions, index
        self._expected, self._seen = expected or {}, dict.fromkeys(expected or {}, 0)
        self._held: Records | None = None
        self._first = 1
        self._last = ("", 0)

    def skip(self, records: int) -> int:
        """Skip records; returns their number, less at the end."""
        skipped = self.read(records)
        return 0 if skipped is None else len(skipped.chrom)

    def read(self, count: int) -> Records | None:
        """Read at most ``count`` records; None after the last one.

        Raises
        ------
        InputError
            As the source; when a file that is read through its index is not sorted, or has another
            number of records than the index.
        """
        while self._held is None or len(self._held.chrom) < count:
            records = self._source.read(READ)
            if records is None:
                self._check_counts()
                break
            selected = self._selected(records)
            self._held = selected if self._held is None else _joined(self._held, selected)
        if self._held is None or not self._held.chrom:
            return None
        taken = _rows(self._held, slice(count))._replace(first=self._first)
        self._held = _rows(self._held, slice(count, None))
        self._first += len(taken.chrom)
        return taken

    def _selected(self, records: Records) -> Records:
        pos = np.array(records.pos, dtype=np.int64)
        if records.end:
            end = np.array(records.end, dtype=np.int64)
        else:
            end = pos + np.fromiter(map(len, records.ref), np.int64, len(pos)) - 1
        kept = np.zeros(len(pos), dtype=np.bool_)
        for name, first, last in _runs(records.chrom):
            run = slice(first, last)
            if self._index is not None:
                self._check_order(name, pos[run])
            kept[run] = self._regions.overlap(name, pos[run], end[run])
        return records if kept.all() else _rows(records, np.flatnonzero(kept).tolist())

    def _check_order(self, name: str, pos: IntRow) -> None:
        """Check the order of consecutive records of one contig, and count them."""
        before = self._last[1] if name == self._last[0] else 0
        steps = np.diff(pos, prepend=before)
        if (steps < 0).any():
            at = int(np.argmax(steps < 0))
            raise InputError(
                f"has an index ({self._index}), and {name}:{pos[at]} follows "
                f"{name}:{pos[at] - steps[at]}: it is not sorted, or the index is of another file",
                file=self.name,
                remedy="Sort it with 'bcftools sort', and index it again",
            )
        self._last = name, int(pos[-1])
        if name in self._seen:
            self._seen[name] += len(pos)

    def _check_counts(self) -> None:
        for name, count in self._expected.items():
            if self._seen[name] != count:
                raise InputError(
                    f"has {self._seen[name]:,} records on {name}, and its index {self._index} "
                    f"counts {count:,}: the index is of another version of the file",
                    file=self.name,
                    remedy="Index it again, for example with: bcftools index -f",
                )


def _runs(names: list[str]) -> Iterator[tuple[str, int, int]]:
    """Each run of equal names, and its half-open range of rows."""
    first = 0
    for name, run in groupby(names):
        last = first + sum(1 for _ in run)
        yield name, first, last
        first = last


def _rows(records: Records, rows: slice | list[int]) -> Records:
    """Some of the records."""
    values = {}
    for name, column in _columns(records).items():
        if column:
            values[name] = column[rows] if isinstance(rows, slice) else [column[i] for i in rows]
    return records._replace(**values)


def _joined(records: Records, more: Records) -> Records:
    """The records of both, of one source."""
    others = _columns(more)
    return records._replace(
        **{name: [*column, *others[name]] for name, column in _columns(records).items()}
    )


def _columns(records: Records) -> dict[str, Any]:
    return {name: column for name, column in records._asdict().items() if name != "first"}
