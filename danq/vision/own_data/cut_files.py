"""Recognise videos and sounds whose end is missing, by the size that the file itself gives."""

from __future__ import annotations

from typing import IO

_HEAD = 4096
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_PACK, _PREFIX = b"\x00\x00\x01\xba", b"\x00\x00\x01"
_TAIL = 1 << 16
"""Bytes at the end of an MPEG file that are searched for its last pack."""

_UNKNOWN_SIZE = 0x7FFF_0000
"""Least size in RIFF files that means "unknown": what programs write whose output is a pipe."""

_TOLERANCE = 16
"""Bytes by which the sizes of some programs are too large, which count the header twice."""


def missing_bytes(file: IO[bytes]) -> int:
    """Bytes that are missing at the end of an AVI, WAV, Matroska, WebM, WMV or MPG file.

    FFmpeg reads such files to where they end, without an error. 0 for other formats, and for files
    that do not give their size. The file is at its start afterwards.
    """
    head = file.read(_HEAD)
    size = file.seek(0, 2)
    file.seek(max(0, size - _TAIL))
    tail = file.read(_TAIL) if head[:4] == _PACK else b""
    file.seek(0)
    if head[:4] == b"RIFF":
        end = _end_of_riff(head)
    elif tail:
        end = size - len(tail) + _end_of_pack(tail)
        return max(0, end - size)
    elif head[:16] == _ASF:
        end = _end_of_asf(head)
    else:
        end = _end_of_matroska(head)
    return end - size if end is not None and end > size + _TOLERANCE else 0


def _end_of_riff(head: bytes) -> int | None:
    size = int.from_bytes(head[4:8], "little")
    return None if size >= _UNKNOWN_SIZE else 8 + size


def _end_of_pack(tail: bytes) -> int:
    """End of the last packet in the last bytes of an MPEG program stream, by its length."""
    at = tail.rfind(_PACK)
    if at < 0 or len(tail) < at + 14:
        return len(tail) if at < 0 else at + 14
    # MPEG-2 has two more bytes, and stuffing behind them.
    at += 14 + (tail[at + 13] & 7) if tail[at + 4] >> 6 == 1 else 12
    while tail[at : at + 3] == _PREFIX and len(tail) >= at + 6 and tail[at + 3] > 0xBA:
        at += 6 + int.from_bytes(tail[at + 4 : at + 6], "big")
    return at


def _end_of_asf(head: bytes) -> int | None:
    at = head.find(_ASF_PROPERTIES)
    if at < 0 or len(head) < at + 92:
        return None
    # The lowest bit is set in a broadcast, which has no size.
    is_broadcast = head[at + 88] & 1
    return None if is_broadcast else int.from_bytes(head[at + 40 : at + 48], "little")


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
