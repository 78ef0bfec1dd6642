"""Compress a stream as bgzip does: gzip in blocks, which tabix can index."""

from __future__ import annotations

import io
import struct
import zlib
from typing import BinaryIO

from danq.files.open_input import BGZF_END

BLOCK = 0xFF00
"""Uncompressed bytes of a block, as in htslib; a block is smaller than 65,536 bytes."""

_HEADER = struct.Struct("<4B I 2B H 2B 2H")


class BgzipFile(io.RawIOBase):
    """A stream of bytes, written to a file in the blocked gzip format of the SAM specification.

    Equal input gives equal bytes: the blocks have no name and no time.

    Parameters
    ----------
    file
        File to write to. It stays open when this stream is closed.
    level
        Compression level of zlib.
    """

    def __init__(self, file: BinaryIO, level: int) -> None:
        self._output, self._level = file, level
        self._waiting = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._waiting += data
        whole = len(self._waiting) - len(self._waiting) % BLOCK
        for first in range(0, whole, BLOCK):
            self._output.write(self._block(bytes(self._waiting[first : first + BLOCK])))
        del self._waiting[:whole]
        return len(data)

    def finish(self) -> None:
        """Write the last block and the end of the file."""
        if self._waiting:
            self._output.write(self._block(bytes(self._waiting)))
            self._waiting.clear()
        self._output.write(BGZF_END)

    def _block(self, data: bytes) -> bytes:
        packed = _deflated(data, self._level)
        if len(packed) > BLOCK:
            # Level 0 stores random bytes in a few more bytes than they are.
            packed = _deflated(data, 0)
        size = _HEADER.size + len(packed) + 8
        header = _HEADER.pack(31, 139, 8, 4, 0, 0, 255, 6, 66, 67, 2, size - 1)
        return header + packed + struct.pack("<2I", zlib.crc32(data), len(data))


def _deflated(data: bytes, level: int) -> bytes:
    stream = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    return stream.compress(data) + stream.flush()
