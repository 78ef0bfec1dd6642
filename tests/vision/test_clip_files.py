from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from danq.errors import InputError
from danq.vision import read_clip
from danq.vision.clip_files import fitted, write_gif, write_png


@pytest.fixture
def clip():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (5, 1, 12, 8), dtype=np.uint8)


def test_array_layouts(tmp_path, clip):
    colour = np.repeat(clip, 3, axis=1)
    for name, array, expected in (
        ("thw", clip[:, 0], clip),
        ("tchw", colour, colour),
        ("thwc", colour.transpose(0, 2, 3, 1), colour),
        ("unit", clip[:, 0] / 255, clip),
    ):
        np.save(tmp_path / f"{name}.npy", array)
        np.testing.assert_array_equal(read_clip(tmp_path / f"{name}.npy"), expected)


def test_frames_of_gif_and_folder_are_read_back(tmp_path, clip):
    steps = (clip // 64) * 85
    write_gif(tmp_path / "clip.gif", steps, zoom=1)
    read = read_clip(tmp_path / "clip.gif")
    np.testing.assert_array_equal(read, steps)
    folder = tmp_path / "frames"
    folder.mkdir()
    # Frame 10 comes after frame 9, against the order of their names.
    for number, frame in zip((2, 9, 10, 11, 100), clip, strict=True):
        Image.fromarray(frame[0]).save(folder / f"frame{number}.png")
    np.testing.assert_array_equal(read_clip(folder), clip)


def test_png_zoom(tmp_path, clip):
    write_png(tmp_path / "frame.png", clip[0], zoom=3)
    read = read_clip(tmp_path / "frame.png")
    assert read.shape == (1, 1, 36, 24)
    np.testing.assert_array_equal(read[:, :, 1::3, 1::3], clip[:1])


def test_fitted_selects_frames_and_averages_pixels(clip):
    out = fitted(np.repeat(clip, 3, axis=1), (3, 1, 6, 4))
    assert out.shape == (3, 1, 6, 4)
    blocks = clip[[0, 2, 4]].reshape(3, 1, 6, 2, 4, 2).mean(axis=(3, 5))
    assert np.abs(out - blocks).max() <= 1
    assert fitted(clip, (3, 12, 8)).shape == (3, 12, 8)


def test_invalid_clips_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_clip(tmp_path / "none.gif")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="there are no frames"):
        read_clip(tmp_path / "empty")
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(InputError, match=r"files of type '\.txt' are not supported"):
        read_clip(tmp_path / "a.txt")
    (tmp_path / "a.gif").write_text("x")
    with pytest.raises(InputError, match="not a readable image"):
        read_clip(tmp_path / "a.gif")
    (tmp_path / "a.npy").write_text("x")
    with pytest.raises(InputError, match=r"is a text file, not an \.npy file"):
        read_clip(tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", np.zeros((2, 3)))
    with pytest.raises(InputError, match=r"shape \(2, 3\) is not a clip"):
        read_clip(tmp_path / "b.npy")
    np.save(tmp_path / "c.npy", np.full((2, 3, 3), 7.0))
    with pytest.raises(InputError, match="neither uint8 nor in"):
        read_clip(tmp_path / "c.npy")
    folder = tmp_path / "sizes"
    folder.mkdir()
    for number, side in enumerate((4, 5)):
        Image.new("L", (side, side)).save(folder / f"{number}.png")
    with pytest.raises(InputError, match="frames differ in size"):
        read_clip(folder)
