"""Find damage that FFmpeg reports, but decodes nevertheless."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from danq.errors import InputError

_CHECKS = "crccheck+explode"
"""What a decoder does: it verifies checksums, and ends at an error instead of hiding it."""

_H264_CHECKS = "crccheck"
"""H.264 without its beginning releases frames that are missing, which is an error, but no damage:
all frames that are shown are complete."""

_NO_DAMAGE = "mmco: unref short failure"

_REMEDY = (
    "Make or copy it again; if it is shown as it should be, convert it, for example with: "
    "ffmpeg -i INPUT OUTPUT"
)

Report = tuple[int, str, str]
"""Level, name of the part of FFmpeg, and text."""


def check_strictly(stream: Any) -> None:
    """Let the decoder of a stream report all errors that it can find."""
    context = stream.codec_context
    context.options = {"err_detect": _H264_CHECKS if context.name == "h264" else _CHECKS}


@contextmanager
def ffmpeg_reports() -> Iterator[list[Report]]:
    """Context with the errors that FFmpeg reports in this thread."""
    from av import logging

    level, skipped = logging.get_level(), logging.get_skip_repeated()
    logging.set_level(logging.ERROR)
    logging.set_skip_repeated(False)
    try:
        with logging.Capture() as reports:
            yield reports
    finally:
        logging.set_level(level)
        logging.set_skip_repeated(skipped)


@contextmanager
def damage_reported(
    path: Path, container: Any, stream: Any, reports: list[Report]
) -> Iterator[None]:
    """Context that refuses a file of which a stream is read, if FFmpeg reports an error in it.

    Parameters
    ----------
    path
        The file.
    container, stream
        The file, and the stream that is read. Errors of other streams do not matter.
    reports
        As `ffmpeg_reports` makes them.

    Raises
    ------
    InputError
        At the end of the block, or in place of an error within it.
    """
    import av

    names = {container.format.name, stream.codec_context.codec.name}
    try:
        yield
    except av.FFmpegError:
        _refuse(path, names, reports)
        raise
    _refuse(path, names, reports)


def decoded_frames(container: Any, stream: Any) -> Iterator[Any]:
    """Yield the frames of a stream.

    Raises
    ------
    ValueError
        When FFmpeg marks one as damaged.
    """
    number = 0
    for packet in container.demux(stream):
        if packet.is_corrupt:
            raise ValueError(f"damaged after frame {number:,}")
        for frame in packet.decode():
            if frame.is_corrupt:
                raise ValueError(f"frame {number:,} is damaged")
            number += 1
            yield frame


def _refuse(path: Path, names: set[str], reports: list[Report]) -> None:
    texts = [text.strip() for _, name, text in reports if name in names]
    text = next((text for text in texts if text != _NO_DAMAGE), None)
    if text is not None:
        raise InputError(f"is damaged ({text})", file=path, remedy=_REMEDY)
