"""Recognise videos and sounds whose end is missing, by the size that the file itself gives."""

from __future__ import annotations

from typing import IO

_HEAD = 4096
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_UNKNOWN_SIZE = 0x7FFF_0000
"""Least size in RIFF files that means "unknown": what programs write whose output is a pipe."""

_TOLERANCE = 16
"""Bytes by which the sizes of some programs are too large, which count the header twice."""


def missing_bytes(file: IO[bytes]) -> int:
    """Bytes that are missing at the end of an AVI, WAV, Matroska or WebM file.

    FFmpeg reads such files to where they end, without an error. 0 for other formats, and for files
    that do not give their size. The file is at its start afterwards.
    """
    head = file.read(_HEAD)
    size = file.seek(0, 2)
    file.seek(0)
    end = _end_of_riff(head) if head[:4] == b"RIFF" else _end_of_matroska(head)
    return end - size if end is not None and end > size + _TOLERANCE else 0


def _end_of_riff(head: bytes) -> int | None:
    size = int.from_bytes(head[4:8], "little")
    return None if size >= _UNKNOWN_SIZE else 8 + size


def _end_of_matroska(head: bytes) -> int | None:
    """End of the segment, the element behind the header."""
    at = 0
    for name in (_EBML, _SEGMENT):
        if head[at : at + 4] != name or len(head) < at + 12:
            return None
        # The number of leading zeros gives the further bytes of the size; all ones are "unknown".
        more = 8 - head[at + 4].bit_length()
        if more > 7:
            return None
        size = int.from_bytes(head[at + 4 : at + 5 + more], "big") - (1 << 7 * (more + 1))
        if size == (1 << 7 * (more + 1)) - 1:
            return None
        at += 5 + more + size
    return at
