"""Write a clip as a GIF or as a video."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from danq.errors import InputError, MissingPackage
from danq.output import replacing
from danq.vision.clip_files import write_gif

VIDEO = ".mp4"

_ZOOM = 4
_FRAMES_PER_SECOND = 8
_CODECS = ("libx264", "mpeg4")
"""Encoders in the order of preference; the first is not in every build of FFmpeg."""


def write_clip(path: str | Path, clip: UInt8[np.ndarray, "T C H W"]) -> Path:
    """Write a clip as ``.mp4``, or as a GIF under any other name; pixels are enlarged 4 times.

    Raises
    ------
    InputError
        When it exists or cannot be written, or PyAV is not installed, which videos need.
    """
    if Path(path).suffix.lower() != VIDEO:
        return write_gif(path, clip, zoom=_ZOOM)
    try:
        import av
        import av.codec
    except ImportError as error:
        raise MissingPackage(
            "writing videos requires PyAV, which is not installed",
            file=path,
            remedy="Install it with pip install 'danq[vision]', or write a GIF",
        ) from error
    frames = clip.repeat(3 if clip.shape[1] == 1 else 1, axis=1).transpose(0, 2, 3, 1)
    frames = frames.repeat(_ZOOM, axis=1).repeat(_ZOOM, axis=2)
    codec = next((one for one in _CODECS if one in av.codec.codecs_available), _CODECS[-1])
    try:
        with (
            replacing(path) as temporary,
            av.open(str(temporary), "w", format="mp4") as container,
        ):
            stream: Any = container.add_stream(codec, rate=_FRAMES_PER_SECOND)
            stream.height, stream.width = frames.shape[1:3]
            stream.pix_fmt = "yuv420p"
            for pixels in frames:
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    except av.FFmpegError as error:
        raise InputError(f"the video cannot be written: {error}", file=path) from error
    return Path(path)
