"""Share of damaged videos that danq refuses, by codec and kind of damage.

    python -m benchmarks.studies.damaged_videos [--quick] [--positions 20] [--out FILE.json]

Each kind of damage is applied at positions from 5 % to 99 % of a video of 60 frames. Counted are
videos whose frames, as FFmpeg shows them, differ from those of the intact one.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np

from benchmarks.harness.arguments import make_parser
from benchmarks.harness.report import markdown_table, write_json
from danq.errors import InputError
from danq.vision.own_data.video_files import clip_facts

FRAMES, SIZE = 60, (96, 128)
FORMS = (
    ("mp4", "libx264"),
    ("mkv", "libx264"),
    ("avi", "libx264"),
    ("flv", "libx264"),
    ("mp4", "mpeg4"),
    ("mkv", "mpeg4"),
    ("avi", "mpeg4"),
    ("mpg", "mpeg1video"),
    ("mpg", "mpeg2video"),
    ("avi", "mjpeg"),
    ("mov", "mjpeg"),
    ("mp4", "libx265"),
    ("webm", "libvpx"),
    ("webm", "libvpx-vp9"),
    ("wmv", "wmv2"),
    ("mkv", "ffv1"),
)
Damage = Callable[[bytes, int, np.random.Generator], bytes]


def changed(data: bytes, at: int, values: bytes) -> bytes:
    """The content with other bytes from a position on."""
    return data[:at] + values + data[at + len(values) :]


DAMAGE: dict[str, Damage] = {
    "one bit": lambda d, at, g: changed(d, at, bytes([d[at] ^ (1 << int(g.integers(8)))])),
    "one byte": lambda d, at, g: changed(d, at, bytes([d[at] ^ int(g.integers(1, 256))])),
    "16 random bytes": lambda d, at, g: changed(d, at, g.bytes(16)),
    "512 zeros": lambda d, at, g: changed(d, at, bytes(512)),
    "4096 zeros": lambda d, at, g: changed(d, at, bytes(4096)),
    "100 bytes removed": lambda d, at, g: d[:at] + d[at + 100 :],
    "end removed": lambda d, at, g: d[:at],
}


def pictures() -> Iterator[np.ndarray]:
    """Frames of a texture and a disc that move."""
    height, width = SIZE
    rows, columns = np.mgrid[:height, :width]
    texture = np.random.default_rng(1).integers(0, 60, (2 * height, 2 * width, 3))
    for time in range(FRAMES):
        frame = texture[time : time + height, time : time + width]
        frame = (frame + (columns[..., None] + 2 * time) % 150).clip(0, 255)
        across, down = 64 + 30 * np.cos(time / 9), 48 + 20 * np.sin(time / 8)
        frame[(rows - down) ** 2 + (columns - across) ** 2 < 200] = (250, 20, 4 * time)
        yield frame.astype(np.uint8)


def write_video(path: Path, codec: str) -> None:
    """Write a video."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = SIZE
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        if codec not in ("mjpeg", "ffv1"):
            stream.bit_rate = 300_000
        for pixels in pictures():
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format=stream.pix_fmt)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def shown(path: Path) -> list[str]:
    """Checksums of the frames as FFmpeg shows them, whatever it reports."""
    found = []
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                found.append(hashlib.sha256(frame.to_ndarray().tobytes()).hexdigest())
    except av.FFmpegError:
        found.append("error")
    return found


def is_refused(path: Path) -> bool:
    """Whether danq refuses a video."""
    try:
        clip_facts(str(path))
    except InputError:
        return True
    return False


def counts(folder: Path, suffix: str, codec: str, positions: int) -> dict[str, list[int]]:
    """Number of refused videos and of different ones, of each kind of damage."""
    path = folder / f"a.{suffix}"
    write_video(path, codec)
    data, intact = path.read_bytes(), shown(path)
    if is_refused(path):
        raise RuntimeError(f"the intact {suffix} with {codec} is refused")
    found = {}
    for number, (kind, damage) in enumerate(DAMAGE.items()):
        refused = different = 0
        for i in range(positions):
            rng = np.random.default_rng([number, i])
            at = int(len(data) * (0.05 + 0.94 * (i + rng.random()) / positions))
            path.write_bytes(damage(data, at, rng))
            if shown(path) != intact:
                different += 1
                refused += is_refused(path)
        found[kind] = [refused, different]
    return found


def main() -> None:
    """Measure, print and write."""
    parser = make_parser(__doc__, "quick", "out")
    parser.add_argument("--positions", type=int, default=20, help="positions of each damage")
    arguments = parser.parse_args()
    positions = 2 if arguments.quick else arguments.positions
    values = {}
    with tempfile.TemporaryDirectory() as folder:
        for suffix, codec in FORMS[:2] if arguments.quick else FORMS:
            values[f"{suffix}, {codec}"] = counts(Path(folder), suffix, codec, positions)
    rows = [(form, *(f"{a}/{b}" for a, b in found.values())) for form, found in values.items()]
    print(markdown_table(("files", *DAMAGE), rows))
    write_json(arguments.out, {"values": values})


if __name__ == "__main__":
    main()
