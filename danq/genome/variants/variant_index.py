"""Read the index of a VCF or BCF: where the records of a region are in the file."""

from __future__ import annotations

import gzip
import struct
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import NoReturn

import numpy as np

from danq.errors import InputError
from danq.files.open_input import BGZF_HEAD, gzip_errors, is_bgzip, open_raw, too_large

TBI, CSI = b"TBI\x01", b"CSI\x01"
EXTENSIONS = (".tbi", ".csi")
LARGEST = 1 << 30
"""Largest number of bytes of an index, uncompressed."""

TBI_SHIFT, TBI_DEPTH = 14, 5
DEEPEST = 9
VCF_COLUMNS = (2, 1, 2)
"""Format VCF, and the columns of contig and position."""

NEAR = 1 << 16
"""Bytes of the file between two parts that are read as one."""

Part = tuple[int, int]
"""Half-open range of virtual offsets: the byte of a block, times 65536, plus the offset in it."""


@dataclass
class ContigIndex:
    """Where the records of one contig are.

    Attributes
    ----------
    bins
        Parts of the file by number of the bin.
    least
        By number of a leaf bin, from 0: no record that overlaps it is before this offset.
    records
        Number of records; None where the index does not have it.
    """

    bins: dict[int, np.ndarray] = field(default_factory=dict)
    least: dict[int, int] | np.ndarray = field(default_factory=dict)
    records: int | None = None

    @property
    def first(self) -> int | None:
        """Offset of the first record; None without records."""
        return min((int(part[:, 0].min()) for part in self.bins.values()), default=None)


@dataclass(frozen=True)
class VariantIndex:
    """A tabix (``.tbi``) or CSI (``.csi``) index.

    Attributes
    ----------
    path
        The index.
    names
        Contigs in their order in the file; empty for BCF, whose header numbers them.
    contigs
        The index of each contig.
    shift, depth
        Bits of a position that a leaf bin ignores, and number of levels below the root.
    """

    path: Path
    names: list[str]
    contigs: list[ContigIndex]
    shift: int
    depth: int

    @property
    def first(self) -> int | None:
        """Offset of the first record; None without records."""
        begins = (one.first for one in self.contigs)
        return min((one for one in begins if one is not None), default=None)

    @property
    def end(self) -> int | None:
        """Offset after the last record; None without records."""
        ends = (int(part[:, 1].max()) for one in self.contigs for part in one.bins.values())
        return max(ends, default=None)

    def parts(self, number: int, start: int, end: int | None) -> list[Part]:
        """Parts of the file with all records of a contig that overlap an interval.

        Parameters
        ----------
        number
            Index of the contig.
        start, end
            0-based, half-open; None for the end of the contig.
        """
        contig = self.contigs[number]
        if end is None:
            found = list(contig.bins.values())
            least = 0
        else:
            levels = self._levels(start, end)
            if sum(map(len, levels)) <= len(contig.bins):
                numbers = [one for one in chain(*levels) if one in contig.bins]
            else:
                # An interval may overlap many more small bins than the contig has.
                numbers = [one for one in contig.bins if any(one in level for level in levels)]
            found = [contig.bins[one] for one in numbers]
            least = self._least(contig, start)
        listed = [(int(a), int(b)) for each in found for a, b in each.tolist() if b > least]
        return joined(listed)

    def _levels(self, start: int, end: int) -> list[range]:
        """Numbers of the bins of each level that overlap an interval."""
        found, first, shift = [], 0, self.shift + 3 * self.depth
        last = min(max(end, start + 1), 1 << shift) - 1
        for level in range(self.depth + 1):
            found.append(range(first + (start >> shift), first + (last >> shift) + 1))
            first, shift = first + (1 << 3 * level), shift - 3
        return found

    def _least(self, contig: ContigIndex, start: int) -> int:
        leaf = start >> self.shift
        if isinstance(contig.least, dict):
            return contig.least.get(leaf, 0)
        return int(contig.least[min(leaf, len(contig.least) - 1)]) if len(contig.least) else 0


def joined(parts: list[Part]) -> list[Part]:
    """Sorted parts, each joined with the next where they are near each other."""
    done: list[Part] = []
    for begin, end in sorted(parts):
        if done and begin >> 16 <= (done[-1][1] >> 16) + NEAR:
            done[-1] = done[-1][0], max(done[-1][1], end)
        else:
            done.append((begin, end))
    return done


def find_index(path: Path) -> Path | None:
    """The newest index beside a file that is compressed with bgzip; None if there is none."""
    if not path.is_file():
        return None
    with open_raw(path) as file:
        if not is_bgzip(file.read(BGZF_HEAD)):
            return None
    beside = [path.with_name(path.name + extension) for extension in EXTENSIONS]
    found = [one for one in beside if one.is_file()]
    return max(found, key=lambda one: one.stat().st_mtime_ns, default=None)


def read_index(path: Path) -> VariantIndex:
    """Read an index of a VCF or BCF.

    Raises
    ------
    InputError
        When it is damaged, truncated, or the index of another kind of file.
    """
    with open_raw(path) as raw, gzip_errors(path), gzip.GzipFile(fileobj=raw, mode="rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise too_large(path, LARGEST)
    try:
        return _Reader(path, data).index()
    except (struct.error, UnicodeDecodeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise bad_index(path, "is truncated or damaged") from error


def bad_index(path: Path, problem: str) -> InputError:
    """Make the error for an index that cannot be used."""
    return InputError(
        problem,
        file=path,
        remedy="Index the variants again, for example with: bcftools index -f, or tabix -f -p vcf; "
        "or remove the index: the whole file is then read",
    )


class _Reader:
    """Reads the fields of an index one after the other."""

    def __init__(self, path: Path, data: bytes) -> None:
        self.path, self.data, self.at = path, data, 4

    def index(self) -> VariantIndex:
        magic = self.data[:4]
        if magic == TBI:
            (count,) = self._take("<i")
            names = self._names(*self._take("<7i"))
            if count != len(names):
                self._refuse(f"has {count} contigs and {len(names)} names")
            shift, depth = TBI_SHIFT, TBI_DEPTH
        elif magic == CSI:
            shift, depth, extra = self._take("<3i")
            if not (0 < shift < 32 and 0 < depth <= DEEPEST):
                self._refuse("is truncated or damaged")
            begin, names = self.at, []
            if extra >= 28:
                names = self._names(*self._take("<7i"))
            self.at = begin + extra
            (count,) = self._take("<i")
            if extra and count != len(names):
                self._refuse(f"has {count} contigs and {len(names)} names")
        else:
            self._refuse("is neither a tabix (.tbi) nor a CSI index")
        if not 0 <= count <= len(self.data) // 4:
            self._refuse("is truncated or damaged")
        meta = (8 ** (depth + 1) - 1) // 7 + 1
        leaf = (8**depth - 1) // 7
        contigs = [self._contig(magic == TBI, meta, leaf) for _ in range(count)]
        if len(self.data) - self.at not in (0, 8):
            self._refuse("has unknown bytes at its end")
        return VariantIndex(self.path, names, contigs, shift, depth)

    def _contig(self, is_tbi: bool, meta: int, leaf: int) -> ContigIndex:
        done = ContigIndex()
        (count,) = self._take("<i")
        least: dict[int, int] = {}
        for _ in range(count):
            if is_tbi:
                number, size = self._take("<Ii")
            else:
                number, offset, size = self._take("<IQi")
                if number >= leaf:
                    least[number - leaf] = offset
            if number > meta or size < 0:
                self._refuse("is truncated or damaged")
            parts = self._offsets(2 * size).reshape(-1, 2)
            if number == meta:
                done.records = int(parts[1].sum()) if len(parts) == 2 else None
            elif size:
                if np.any(parts[:, 0] > parts[:, 1]):
                    self._refuse("has parts that end before they begin")
                done.bins[number] = parts
        done.least = self._offsets(*self._take("<i")) if is_tbi else least
        return done

    def _names(self, kind: int, contig: int, begin: int, *rest: int) -> list[str]:
        if (kind & 0xFFFF, contig, begin) != VCF_COLUMNS:
            self._refuse("is not the index of a VCF")
        length = rest[-1]
        text = self.data[self.at : self.at + length]
        if length < 0 or len(text) != length:
            self._refuse("is truncated or damaged")
        self.at += length
        names = text.decode().split("\0")[:-1]
        if len(set(names)) != len(names):
            self._refuse("names a contig twice")
        return names

    def _take(self, form: str) -> tuple[int, ...]:
        values = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return values

    def _offsets(self, count: int) -> np.ndarray:
        if count < 0:
            self._refuse("is truncated or damaged")
        found = np.frombuffer(self.data, "<u8", count, self.at)
        self.at += 8 * count
        return found

    def _refuse(self, problem: str) -> NoReturn:
        raise bad_index(self.path, problem)
