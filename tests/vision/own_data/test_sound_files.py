from __future__ import annotations

import logging

import av
import numpy as np
import pytest
from scipy.io import wavfile

from danq.errors import InputError
from danq.vision.dataset import SPLITS
from danq.vision.own_data import InputSettings, own_examples, own_inputs
from danq.vision.own_data.sound_files import BANDS, HOP, RATE, log_mel, mel_filters, read_sound
from tests.vision.own_data.test_file_examples import write_table, write_video


def tone(frequency, seconds=0.5, rate=RATE):
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


@pytest.mark.parametrize(
    ("kind", "error"), [("u1", 1e-2), ("<i2", 1e-4), ("<i4", 1e-4), ("<f4", 1e-4), ("<f8", 1e-4)]
)
def test_wav_of_every_type(tmp_path, kind, error):
    values = tone(440)
    if kind == "u1":
        stored = (values * 127 + 128).round().astype(kind)
    elif kind[1] == "i":
        stored = (values * np.iinfo(kind).max).astype(kind)
    else:
        stored = values.astype(kind)
    wavfile.write(tmp_path / "a.wav", RATE, stored)
    np.testing.assert_allclose(read_sound(str(tmp_path / "a.wav")), values, atol=error)


@pytest.mark.parametrize(
    ("suffix", "codec"), [("flac", "flac"), ("mp3", "mp3"), ("m4a", "aac"), ("aac", "aac")]
)
def test_compressed_sounds(tmp_path, suffix, codec):
    path = tmp_path / f"a.{suffix}"
    samples = (tone(440, 1.0) * 32767).astype(np.int16)
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.rate = RATE
        container.mux([*stream.encode(frame), *stream.encode(None)])
    found = read_sound(str(path))
    assert RATE <= len(found) <= RATE + 2048
    middle = found[4000:12000]
    assert np.abs(np.fft.rfft(middle)).argmax() == 220
    assert np.abs(middle).max() == pytest.approx(0.5, abs=0.05)


def test_24_bits_stereo_and_other_rates(tmp_path):
    values = (tone(440, rate=44_100) * (1 << 23)).astype("<i4")
    both = np.stack([values, -values // 2], axis=1)
    data = both.astype("<i4").view("u1").reshape(-1, 4)[:, :3].tobytes()
    head = b"fmt " + (16).to_bytes(4, "little") + bytes([1, 0, 2, 0])
    head += (44_100).to_bytes(4, "little") + (264_600).to_bytes(4, "little") + bytes([6, 0, 24, 0])
    body = b"WAVE" + head + b"data" + len(data).to_bytes(4, "little") + data
    (tmp_path / "a.wav").write_bytes(b"RIFF" + len(body).to_bytes(4, "little") + body)
    found = read_sound(str(tmp_path / "a.wav"))
    assert len(found) == pytest.approx(RATE / 2, abs=40)
    expected = tone(440) / 4
    np.testing.assert_allclose(found[200:7500], expected[200:7500], atol=5e-3)


def test_bands_follow_frequencies():
    filters = mel_filters()
    np.testing.assert_allclose(filters.sum(axis=0), 1)
    centres = [int(log_mel(tone(f).astype(np.float32), HOP)[20].argmax()) for f in (200, 800, 3000)]
    peaks = [int(filters[round(f / RATE * 512)].argmax()) for f in (200, 800, 3000)]
    assert np.abs(np.subtract(centres, peaks)).max() <= 1
    silence = log_mel(np.zeros(1600, np.float32), HOP)
    assert silence.shape == (10, BANDS)
    np.testing.assert_allclose(silence, -6)


def test_sounds_that_cannot_be_read_are_named(tmp_path):
    wavfile.write(tmp_path / "none.wav", RATE, np.zeros(0, np.int16))
    with pytest.raises(InputError, match=r"none\.wav: has no samples|not a readable sound"):
        read_sound(str(tmp_path / "none.wav"))
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(InputError, match=r"text\.wav: not a readable sound.* INPUT OUTPUT\.wav"):
        read_sound(str(tmp_path / "text.wav"))
    write_video(tmp_path / "mute.mp4", [0, 100])
    with pytest.raises(InputError, match=r"mute\.mp4: has no sound"):
        read_sound(str(tmp_path / "mute.mp4"))


def test_videos_with_sounds(tmp_path, caplog):
    rows = []
    for number in range(12):
        kind = ("low", "high")[number % 2]
        write_video(tmp_path / kind / f"{number}.mp4", [number * 5, 200, 100])
        seconds = 0.1 + 0.02 * number
        wavfile.write(
            tmp_path / kind / f"{number}.wav",
            RATE,
            tone(300 if kind == "low" else 3000, seconds).astype(np.float32),
        )
        rows.append((f"{kind}/{number}.mp4", f"{kind}/{number}.wav", kind))
    with caplog.at_level(logging.INFO, "danq"):
        task, data = own_examples("audio", tmp_path, InputSettings(size=(16, 16)))
    assert task == "video-sound-classes"
    assert data.metadata["sound_shape"][1] == BANDS
    assert "left out: " not in caplog.text
    assert "12 sounds: from files of the same name beside the videos" in caplog.text
    for split in SPLITS:
        examples = getattr(data, split)
        sound, real, label = examples["sound"], examples["sound_real"], examples["label"]
        bands = [one[mask].mean(axis=0).argmax() for one, mask in zip(sound, real, strict=True)]
        # The classes are high and low.
        np.testing.assert_array_equal(np.array(bands) > 12, label == 0)
    table = write_table(tmp_path / "t.csv", rows, ("path", "audio", "class"))
    _, same = own_examples("audio", table, InputSettings(size=(16, 16)))
    assert sorted(same.test.digests) == sorted(data.test.digests)
    names, examples = own_inputs("video-sound-classes", tmp_path / "low" / "0.mp4", data.metadata)
    assert names == [str(tmp_path / "low" / "0.mp4")]
    assert set(examples.names) == {"clip", "real", "sound", "sound_real"}
    (tmp_path / "low" / "2.wav").write_bytes(b"RIFF")
    with pytest.raises(InputError, match="1 of 12 sounds cannot be read"):
        own_examples("audio", table)
    _, data = own_examples("audio", table, InputSettings(skip_damaged=True))
    assert sum(len(getattr(data, split)) for split in SPLITS) == 11


def test_the_sound_in_a_video(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=10)
        video.height, video.width, video.pix_fmt = 16, 16, "yuv420p"
        audio = container.add_stream("aac", rate=RATE)
        for level in (0, 50, 100):
            frame = av.VideoFrame.from_ndarray(np.full((16, 16, 3), level, np.uint8), "rgb24")
            container.mux(video.encode(frame))
        container.mux(video.encode())
        sound = av.AudioFrame.from_ndarray(tone(500)[None].astype(np.float32), "fltp", "mono")
        sound.sample_rate = RATE
        container.mux(audio.encode(sound))
        container.mux(audio.encode())
    found = read_sound(str(path))
    assert len(found) == pytest.approx(RATE / 2, abs=2100)
    assert np.abs(np.fft.rfft(found)).argmax() / len(found) * RATE == pytest.approx(500, abs=5)
