from __future__ import annotations

import numpy as np
import pytest
from scipy.io import wavfile

from danq.errors import InputError
from danq.vision.own_data.sequence_files import read_series_archive
from danq.vision.own_data.sound_files import read_sound
from danq.vision.own_data.video_files import clip_facts
from tests.vision.own_data.test_file_examples import write_video

LEVELS = [0, 50, 100, 150, 200, 250] * 4
CODECS = {"mkv": "libx264", "webm": "libvpx-vp9", "avi": "mpeg4", "wmv": "wmv2"}


@pytest.mark.parametrize("suffix", CODECS)
def test_a_video_without_its_end_is_named(tmp_path, suffix):
    path = write_video(tmp_path / f"a.{suffix}", LEVELS, codec=CODECS[suffix])
    assert clip_facts(str(path)).frames == len(LEVELS)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 3 // 4])
    missing = f"{len(data) - len(data) * 3 // 4:,}"
    with pytest.raises(InputError, match=rf"a\.{suffix}: its last {missing} bytes are missing"):
        clip_facts(str(path))


def test_a_video_that_does_not_give_its_size_is_read(tmp_path):
    path = write_video(tmp_path / "a.mkv", LEVELS)
    data = bytearray(path.read_bytes())
    segment = data.index(b"\x18\x53\x80\x67") + 4
    data[segment : segment + 8] = b"\x01" + b"\xff" * 7
    path.write_bytes(data)
    assert clip_facts(str(path)).frames == len(LEVELS)


def test_sizes_of_wav_files(tmp_path):
    path = tmp_path / "a.wav"
    wavfile.write(path, 16_000, np.ones(4000, np.int16))
    data = path.read_bytes()
    for size in (len(data), 0, 0xFFFFFFFF, 0x7FFFFFFF):
        path.write_bytes(data[:4] + size.to_bytes(4, "little") + data[8:])
        assert len(read_sound(str(path))) == 4000
    path.write_bytes(data[:-2000])
    with pytest.raises(InputError, match=r"a\.wav: its last 2,000 bytes are missing"):
        read_sound(str(path))


def test_a_series_of_the_class_nan_is_named(tmp_path):
    series = np.ones((3, 5, 1))
    np.savez(tmp_path / "a.npz", **{"series": series, "class": [1.0, np.nan, 2.0]})
    with pytest.raises(InputError, match=r"a\.npz: 'class' is NaN for 1 series"):
        read_series_archive(tmp_path / "a.npz")
