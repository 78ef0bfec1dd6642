"""Read the parts of a bgzip file that its index names, and compare the index with the file."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from danq.errors import InputError
from danq.files.open_input import damaged
from danq.genome.bgzip_blocks import block_size, inflate_block
from danq.genome.variants.variant_index import Part, VariantIndex, bad_index

LARGEST_BLOCK = 1 << 16
READ = 1 << 19
"""Bytes of the file that are read at a time."""

MOST_CONTIGS = 1000
"""Contigs whose first record is compared with the index."""

HEADER, BCF = b"#", b"BCF"
_FIXED = 9
"""Bytes of a BCF before the text of its header, the last four of which are its length."""


class IndexedFile:
    """An open bgzip file, read from virtual offsets.

    Parameters
    ----------
    file
        The file.
    path
        Its path.
    """

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self.file, self.path = file, path
        self.size = path.stat().st_size
        self._begin, self._stored = 0, b""

    def check_index(self, index: VariantIndex, begin: int) -> None:
        """Compare the offsets of the first and after the last record with the file.

        Parameters
        ----------
        index
            The index.
        begin
            Offset of the first record in the file.

        Raises
        ------
        InputError
            When the index ends elsewhere than the file, or begins elsewhere.
        """
        end, first = index.end, index.first
        if end is None or first is None:
            if begin != self.size << 16:
                raise bad_index(index.path, f"has no record, and {self.path} has records")
            return
        if self.following(end) != self.size << 16:
            raise bad_index(
                index.path,
                f"does not end where {self.path} ends: the index is of another version of the "
                "file, or truncated",
            )
        if self.following(first) != self.following(begin):
            raise bad_index(
                index.path,
                f"does not begin at the first record of {self.path}: the index is of another "
                "version of the file",
            )

    def check_names(self, index: VariantIndex) -> None:
        """Compare the contig of the first record of each contig with its name in the index.

        Raises
        ------
        InputError
            When they differ in one of the first `MOST_CONTIGS` contigs.
        """
        for name, contig in list(zip(index.names, index.contigs, strict=True))[:MOST_CONTIGS]:
            if contig.first is None or self.following(contig.first) is None:
                continue
            line = self.line_after(contig.first)
            if not line.startswith(name.encode() + b"\t"):
                raise bad_index(
                    index.path,
                    f"names the contig {name}, whose first record is of another contig in "
                    f"{self.path}: the index is of another version of the file, or damaged",
                )

    def following(self, offset: int) -> int | None:
        """Offset of the first byte of text at or after an offset; None for a wrong offset.

        The end of the file is its size times 65536; an index has the last, empty block instead.
        """
        at, inside = offset >> 16, offset & 0xFFFF
        if at >= self.size:
            return None
        while at < self.size:
            try:
                text, end = self._block(at)
            except InputError:
                return None
            if inside < len(text):
                return at << 16 | inside
            if inside > len(text):
                return None
            at, inside = end, 0
        return self.size << 16 if at == self.size else None

    def header(self) -> tuple[bytes, int]:
        """Header of a VCF or BCF as stored, and the offset of the first record."""
        whole, at, line = b"", 0, 0
        while at < self.size:
            text, at = self._block(at)
            whole += text
            if whole.startswith(BCF):
                line = _FIXED + struct.unpack_from("<I", whole.ljust(_FIXED), _FIXED - 4)[0]
            else:
                while whole[line : line + 1] == HEADER and (stop := whole.find(b"\n", line)) >= 0:
                    line = stop + 1
            if line < len(whole) and (whole.startswith(BCF) or whole[line : line + 1] != HEADER):
                break
        return whole[:line], self._offset(line)

    def _offset(self, count: int) -> int:
        """Offset of the byte after the first ``count`` bytes of text."""
        at = 0
        while at < self.size:
            text, after = self._block(at)
            if count < len(text):
                return at << 16 | count
            at, count = after, count - len(text)
        return self.size << 16

    def text(self, part: Part) -> Iterator[bytes]:
        """Uncompressed pieces of a part, of one block each."""
        begin, end = part
        at, inside = begin >> 16, begin & 0xFFFF
        while (at << 16 | inside) < end:
            text, after = self._block(at)
            yield text[inside : end & 0xFFFF if at == end >> 16 else None]
            at, inside = after, 0

    def line_before(self, offset: int) -> bytes | None:
        """The complete line before an offset, as far as it is in the same block.

        Returns
        -------
        bytes or None
            None if a record is not known to end there.

        Raises
        ------
        ValueError
            When the byte before is not a line end.
        """
        at, inside = offset >> 16, offset & 0xFFFF
        if not inside:
            return None
        text = self._block(at)[0][:inside]
        if not text.endswith(b"\n") or len(text) < inside:
            raise ValueError("no line starts there")
        lines = text.split(b"\n")
        return lines[-2] if len(lines) > 2 else None

    def line_after(self, offset: int) -> bytes:
        """The line that starts at an offset; empty at the end of the file."""
        line = b""
        for piece in self.text((offset, self.size << 16)):
            before, found, _ = piece.partition(b"\n")
            line += before
            if found:
                break
        return line

    def _block(self, at: int) -> tuple[bytes, int]:
        """Text of the block at a byte of the file, and the byte after it."""
        begin = at - self._begin
        if begin < 0 or begin + LARGEST_BLOCK > len(self._stored):
            self.file.seek(at)
            self._begin, self._stored, begin = at, self.file.read(READ), 0
        stored = self._stored[begin : begin + LARGEST_BLOCK]
        size = block_size(stored)
        if size is None or size > len(stored):
            raise damaged(self.path, ValueError(f"no bgzip block starts at byte {at:,}"))
        try:
            return inflate_block(stored[:size]), at + size
        except zlib.error as error:
            problem = f"{error}, in the block at byte {at:,}"
            raise damaged(self.path, ValueError(problem)) from error


class PartsOfText(io.RawIOBase):
    """The header of a VCF, and then the text of parts of it.

    Parameters
    ----------
    file
        The file.
    index
        Its index.
    header
        The header.
    parts
        Parts with whole records.
    overlaps
        Whether a line is a record of the requested regions; a record beside a part that overlaps
        one is missing from the index.
    """

    def __init__(
        self,
        file: IndexedFile,
        index: VariantIndex,
        header: bytes,
        parts: list[Part],
        overlaps: Callable[[bytes], bool],
    ) -> None:
        self._file, self._index, self._overlaps = file, index, overlaps
        self._rest, self._pieces = header, self._text(parts)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = piece
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size

    def _text(self, parts: list[Part]) -> Iterator[bytes]:
        for part in parts:
            try:
                before = self._file.line_before(part[0])
            except ValueError as error:
                raise self._other_file() from error
            last = b"\n"
            for piece in self._file.text(part):
                yield piece
                last = piece[-1:] or last
            if last != b"\n" and self._file.following(part[1]) != self._file.size << 16:
                raise self._other_file()
            if last != b"\n":
                yield b"\n"
            for line in (before, self._file.line_after(part[1])):
                if line and self._overlaps(line):
                    raise bad_index(
                        self._index.path,
                        f"lacks records of {self._file.path} in the requested regions",
                    )

    def _other_file(self) -> InputError:
        return bad_index(
            self._index.path,
            f"points into the middle of a record of {self._file.path}: the index is of another "
            "file, or damaged",
        )
