from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np
import pytest

from danq.errors import InputError
from danq.vision.own_data.sound_files import read_sound
from danq.vision.own_data.video_files import clip_facts, frames_of

FRAMES, SIZE = 30, (64, 96)
FORMS = {
    "mp4": "libx264",
    "mkv": "libx264",
    "avi": "mpeg4",
    "webm": "libvpx-vp9",
    "mpg": "mpeg1video",
}


def moving_video(path, codec, *, times=None, container=None, settings=None):
    """Write a video of a texture that moves; return its content."""
    texture = np.random.default_rng(0).integers(0, 255, (200, 200, 3)).astype(np.uint8)
    with av.open(str(path), "w", options=container or {}) as output:
        stream = output.add_stream(codec, rate=25, options=settings or {})
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        stream.bit_rate = 400_000
        for number in range(FRAMES):
            pixels = texture[number : number + SIZE[0], number : number + SIZE[1]]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24")
            if times:
                frame.pts, frame.time_base = times(number), Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path.read_bytes()


@pytest.mark.parametrize("suffix", FORMS)
def test_damage_within_a_video_is_named(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    data = moving_video(path, FORMS[suffix])
    assert clip_facts(str(path)).frames == FRAMES
    for share in (0.3, 0.5, 0.7):
        at = int(len(data) * share)
        for damaged in (
            data[:at] + bytes(4096) + data[at + 4096 :],
            data[:at] + data[at + 100 :],
        ):
            path.write_bytes(damaged)
            with pytest.raises(InputError, match=rf"a\.{suffix}: "):
                clip_facts(str(path))


@pytest.mark.parametrize(("suffix", "codec"), [("mkv", "ffv1"), ("mpg", "mpeg1video")])
def test_checksums_and_cut_ends_are_verified(tmp_path, suffix, codec):
    path = tmp_path / f"a.{suffix}"
    data = bytearray(moving_video(path, codec))
    if codec == "ffv1":
        data[len(data) // 2] ^= 1
    else:
        del data[len(data) * 2 // 3 - 99 :]
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"CRC|its last .* bytes are missing"):
        clip_facts(str(path))


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        ("mp4", {"times": lambda n: 3 * n + (n > 9) * 40}),
        ("mkv", {"times": lambda n: 1000 + n}),
        ("webm", {"container": {"live": "1"}}),
        ("mp4", {"container": {"movflags": "frag_keyframe+empty_moov"}}),
        ("avi", {"settings": {"bf": "2"}}),
        ("mpg", {"settings": {"bf": "2"}}),
    ],
)
def test_unusual_videos_are_read(tmp_path, suffix, options):
    path = tmp_path / f"a.{suffix}"
    moving_video(path, FORMS[suffix], **options)
    assert clip_facts(str(path)).frames == FRAMES
    assert len(frames_of(str(path), [0, FRAMES - 1], 3)) == 2


def test_a_clip_that_was_cut_out_of_a_video_is_read(tmp_path):
    settings = {"x264-params": "open-gop=1:bframes=3:keyint=12:scenecut=0"}
    moving_video(tmp_path / "a.mp4", "libx264", settings=settings)
    with av.open(str(tmp_path / "a.mp4")) as whole, av.open(str(tmp_path / "b.mp4"), "w") as part:
        stream = whole.streams.video[0]
        copy = part.add_stream_from_template(stream)
        packets = [one for one in whole.demux(stream) if one.dts is not None]
        first = [number for number, one in enumerate(packets) if one.is_keyframe][1]
        start = packets[first].dts
        for packet in packets[first:]:
            packet.stream = copy
            packet.dts, packet.pts = packet.dts - start, packet.pts - start
            part.mux(packet)
    assert 0 < clip_facts(str(tmp_path / "b.mp4")).frames < FRAMES


def test_damage_of_other_streams_does_not_matter(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as output:
        video, sound = output.add_stream("mpeg4", rate=25), output.add_stream("flac", rate=16_000)
        video.height, video.width, video.pix_fmt = *SIZE, "yuv420p"
        for level in range(10):
            pixels = np.full((*SIZE, 3), 20 * level, np.uint8)
            output.mux(video.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        output.mux(video.encode())
        noise = np.random.default_rng(0).integers(-9000, 9000, (1, 16_000)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(noise, "s16", "mono")
        frame.sample_rate, frame.pts = 16_000, 0
        output.mux(sound.encode(frame))
        output.mux(sound.encode())
    assert len(read_sound(str(path))) == 16_000
    data = bytearray(path.read_bytes())
    with av.open(io.BytesIO(bytes(data))) as container:
        packets = [one for one in container.demux(audio=0) if one.size]
        at = data.index(bytes(packets[2])) + packets[2].size // 2
    data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"a\.mkv: (is damaged|not a readable sound)"):
        read_sound(str(path))
    assert clip_facts(str(path)).frames == 10


def test_the_log_of_ffmpeg_is_as_before(tmp_path):
    path = tmp_path / "a.mpg"
    data = moving_video(path, "mpeg1video")
    path.write_bytes(data[:9000] + data[9100:])
    before = av.logging.get_level(), av.logging.get_skip_repeated()
    with pytest.raises(InputError):
        clip_facts(str(path))
    assert (av.logging.get_level(), av.logging.get_skip_repeated()) == before
