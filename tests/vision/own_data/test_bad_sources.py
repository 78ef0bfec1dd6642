"""Sources and files that are unusual or damaged: each is read right, or refused by name."""

from __future__ import annotations

import json
import logging
import struct
import zlib

import av
import numpy as np
import pytest
from PIL import Image

from danq.errors import InputError
from danq.vision.dataset import SPLITS
from danq.vision.own_data import InputSettings, own_examples, own_inputs
from danq.vision.own_data.image_files import image_facts, opened_image, upright
from danq.vision.own_data.video_files import clip_facts, frames_of
from tests.vision.own_data.image_set import class_folders, noisy, save
from tests.vision.own_data.test_file_examples import write_frames, write_table, write_video


def shown(path, channels=3, bits=8):
    with opened_image(path) as image:
        return np.asarray(upright(image, channels, bits))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_exif_rotation(tmp_path, orientation, mode):
    corner = Image.new(mode, (24, 12))
    corner.paste(Image.new(mode, (8, 4), "white"), (0, 0))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a.png"
    corner.save(path, exif=exif)
    from PIL import ImageOps

    expected = ImageOps.exif_transpose(Image.open(path))
    if mode == "RGBA":
        behind = Image.new("RGBA", expected.size, "white")
        expected = Image.alpha_composite(behind, expected)
    np.testing.assert_array_equal(shown(path), np.asarray(expected.convert("RGB")))
    assert image_facts(path)[:2] == (expected.height, expected.width)


def test_colours_of_every_type(tmp_path):
    pixels = noisy((200, 80, 40), 0)
    alpha = np.dstack([pixels, np.zeros((12, 16), np.uint8)])
    assert (shown(save(tmp_path / "clear.png", alpha)) == 255).all()
    palette = Image.fromarray(pixels).quantize(16)
    palette.save(tmp_path / "palette.png")
    palette.save(tmp_path / "clear.gif", transparency=int(palette.getpixel((0, 0))))
    assert np.abs(shown(tmp_path / "palette.png").astype(int) - pixels).max() < 40
    assert (shown(tmp_path / "clear.gif")[0, 0] == 255).all()
    Image.fromarray(pixels).convert("CMYK").save(tmp_path / "cmyk.jpg", quality=98)
    assert np.abs(shown(tmp_path / "cmyk.jpg").mean((0, 1)) - pixels.mean((0, 1))).max() < 3
    Image.fromarray(pixels[..., 0] > 200).save(tmp_path / "bits.png")
    assert set(np.unique(shown(tmp_path / "bits.png", 1))) == {0, 255}
    deep = (np.arange(192).reshape(12, 16) * 21).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    assert image_facts(tmp_path / "deep.png").largest == 191 * 21 < 1 << 12
    np.testing.assert_array_equal(shown(tmp_path / "deep.png", 1, 12), deep >> 4)
    Image.fromarray(np.linspace(0, 1, 192, dtype=np.float32).reshape(12, 16)).save(
        tmp_path / "f.tif"
    )
    assert shown(tmp_path / "f.tif", 1)[-1, -1] == 255
    Image.fromarray(np.full((4, 4), 7, np.float32)).save(tmp_path / "g.tif")
    with pytest.raises(InputError, match=r"g\.tif: not a readable image \(floating-point val"):
        shown(tmp_path / "g.tif", 1)


def test_images_of_12_bits_use_all_levels(tmp_path, caplog):
    for number in range(20):
        level = 100 + 3000 * (number % 2) + number
        path = tmp_path / f"c{number % 2}" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((8, 8), level, np.uint16)).save(path)
    with caplog.at_level(logging.INFO, "danq"):
        _, data = own_examples("images", tmp_path)
    assert data.metadata["shape"] == [1, 8, 8]
    assert "values of up to 12 bits are reduced to 8" in caplog.text
    np.testing.assert_array_equal(data.train["image"][:, 0, 0, 0] > 128, data.train["label"] == 1)


def test_a_decompression_bomb_is_refused(tmp_path):
    def chunk(name, data):
        whole = name + data
        return struct.pack(">I", len(data)) + whole + struct.pack(">I", zlib.crc32(whole))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")))
    with pytest.raises(InputError, match=r"bomb\.png: not a readable image \(Image size"):
        image_facts(path)


def test_a_file_without_permission_is_named(tmp_path, monkeypatch):
    folder = class_folders(tmp_path, 4)

    def refuse(path, *_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("danq.files.open_input._Input", refuse)
    with pytest.raises(
        InputError, match=r"12 of 12 images .*cannot be opened \(Permission denied\)"
    ):
        own_examples("images", folder)


def test_unusual_folders(tmp_path, caplog):
    folder = class_folders(tmp_path / "set", 4)
    (folder / "purple").mkdir()
    (folder / "notes.txt").write_text("x")
    (folder / "red" / "Thumbs.db").write_text("x")
    (folder / "red" / ".hidden.png").write_text("x")
    (folder / "red" / "more").mkdir()
    (folder / "red" / "more" / "loop").symlink_to(folder / "red")
    save(folder / "red" / "more" / "5.png", noisy((250, 0, 0), 999))
    with caplog.at_level(logging.INFO, "danq"):
        _, data = own_examples("images", folder)
    assert sum(len(getattr(data, split)) for split in SPLITS) == 13
    assert "folders without images are left out: purple" in caplog.text
    assert "files that are not images are left out: 1 beside the folders, 1 *.db" in caplog.text
    with pytest.raises(InputError, match="has no folders of images"):
        own_examples("images", folder / "purple")
    (folder / "purple" / "empty").mkdir()
    with pytest.raises(InputError, match="has no images in its folders"):
        own_examples("images", folder / "purple")
    with pytest.raises(InputError, match="no such file or folder"):
        own_examples("images", folder / "none")
    with pytest.raises(InputError, match="is neither a folder nor a table"):
        own_examples("images", folder / "red" / "0.png")


def test_splits_of_folders_and_their_classes(tmp_path, caplog):
    for split in ("train", "test"):
        class_folders(tmp_path / split, 10)
    with caplog.at_level(logging.WARNING, "danq"):
        _, data = own_examples("images", tmp_path)
    # The same images were written to both.
    assert "30 files are in two splits with the same content, so the metrics" in caplog.text
    assert [len(getattr(data, split)) for split in SPLITS] == [27, 3, 30]
    save(tmp_path / "test" / "violet" / "1.png", noisy((90, 0, 200), 1))
    problem = r"the test split has classes without training examples: 'violet' \(1\)"
    with pytest.raises(InputError, match=problem):
        own_examples("images", tmp_path)


def test_one_class_and_single_examples(tmp_path, caplog):
    folder = class_folders(tmp_path / "set", 10)
    save(folder / "violet" / "1.png", noisy((90, 0, 200), 1))
    with caplog.at_level(logging.WARNING, "danq"):
        own_examples("images", folder)
    assert "classes with one training example: 'violet'" in caplog.text
    for number in range(5):
        save(tmp_path / "one" / "red" / f"{number}.png", noisy((200, 0, 0), number))
    with pytest.raises(InputError, match="all examples have the class 'red'"):
        own_examples("images", tmp_path / "one")
    save(tmp_path / "two" / "red" / "1.png", noisy((200, 0, 0), 1))
    save(tmp_path / "two" / "blue" / "1.png", noisy((0, 0, 200), 1))
    with pytest.raises(InputError, match="2 different files or groups cannot be divided"):
        own_examples("images", tmp_path / "two")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for number in range(30):
        save(folder / f"{number}.png", noisy((8 * number, 100, 200), number))
    return folder


ROWS = [(f"{n}.png", f"c{n % 3}") for n in range(30)]


@pytest.mark.parametrize(
    ("rows", "columns", "problem"),
    [
        (
            [*ROWS, ("0.png", "c2")],
            ("path", "class"),
            r"line 32: .*0\.png is given twice \(as in lin",
        ),
        (
            [*ROWS, ("none.png", "c2")],
            ("path", "class"),
            r"1 of 31 images .*none\.png \(no such file",
        ),
        ([*ROWS, ("", "c2")], ("path", "class"), "line 32: the column 'path' is empty"),
        ([*ROWS, ("1.png", "")], ("path", "class"), "line 32: the column 'class' is empty"),
        (
            [*ROWS, ("1.png", "c", "x")],
            ("path", "class"),
            "line 32: the row has 3 fields, the first",
        ),
        (
            ROWS,
            ("path", "kind"),
            "has none of the columns class, labels, value; it has path, kind",
        ),
        (ROWS, ("path", "path"), "has several columns named 'path'"),
        ([], ("path", "class"), "has no rows"),
        (
            [(*ROWS[0], "train"), (*ROWS[1], "")],
            ("path", "class", "split"),
            "1 of 2 examples have no",
        ),
        (
            [(*r, "trian") for r in ROWS],
            ("path", "class", "split"),
            "line 2: there is no split 'tri",
        ),
        ([(*r, "test") for r in ROWS], ("path", "class", "split"), "no example is for training"),
        ([(*r, "test") for r in ROWS], ("path", "class", "splits"), "perhaps to 'split'"),
        (ROWS, ("path", "label"), "perhaps to 'class' .one class each. or 'labels'"),
        (
            [(*r, "x") for r in ROWS],
            ("path", "class", "group"),
            "1 different files or groups cannot",
        ),
        (
            [(r[0], "x") for r in ROWS],
            ("path", "value.a"),
            "line 2: the column 'value.a' has no fin",
        ),
        (
            [(r[0], "inf") for r in ROWS],
            ("path", "value"),
            "line 2: the column 'value' has no fini",
        ),
        ([(r[0], "") for r in ROWS], ("path", "value"), "no training example has a value 'value'"),
        (
            [(r[0], "a\u200bb") for r in ROWS],
            ("path", "class"),
            "the class 'a.u200bb' has a charac",
        ),
    ],
)
def test_tables_that_are_refused(images, rows, columns, problem):
    table = write_table(images / "t.csv", rows, columns)
    with pytest.raises(InputError, match=problem):
        own_examples("images", table)


def test_tables_that_are_read(images, tmp_path, caplog):
    with caplog.at_level(logging.INFO, "danq"):
        table = write_table(images / "t.csv", [*ROWS, ROWS[3]], ("path", "class"))
        _, plain = own_examples("images", table)
        assert "1 repeated rows are left out" in caplog.text
        other = tmp_path / "folder" / "t.txt"
        other.parent.mkdir()
        lines = [f'"{images}/{path}";{name};x;' for path, name in ROWS]
        other.write_bytes(
            b"\xef\xbb\xbf" + "\r\n".join(["path;class;photographer", *lines]).encode()
        )
        _, elsewhere = own_examples("images", other)
        assert "columns without a meaning are ignored: photographer" in caplog.text
    assert elsewhere.sha256 == plain.sha256
    rows = [{"path": path, "class": name} for path, name in ROWS]
    (images / "t.json").write_text(json.dumps(rows))
    assert own_examples("images", images / "t.json")[1].sha256 == plain.sha256
    (images / "latin.csv").write_bytes(b"path,class\n0.png,gr\xfcn\n")
    with pytest.raises(InputError, match=r"latin\.csv, line 2: the line is not UTF-8"):
        own_examples("images", images / "latin.csv")
    (images / "quote.csv").write_text('path,class\n0.png,"a\n')
    with pytest.raises(InputError, match="line 2: the row cannot be read"):
        own_examples("images", images / "quote.csv")
    (images / "object.json").write_text('{"path": "0.png"}')
    with pytest.raises(InputError, match="is JSON, but not a list of objects"):
        own_examples("images", images / "object.json")


def test_groups_are_never_divided(images):
    rows = [(*row, f"g{n // 3}") for n, row in enumerate(ROWS)]
    table = write_table(images / "g.csv", rows, ("path", "class", "group"))
    _, data = own_examples("images", table)
    groups = []
    for split in SPLITS:
        numbers = [
            int(s.rsplit("/", 1)[1].removesuffix(".png")) for s in getattr(data, split).sources
        ]
        groups.append({number // 3 for number in numbers})
    assert sum(map(len, groups)) == len(set.union(*groups)) == 10
    rows = [(*row, ("train", "valid", "test")[n % 3]) for n, row in enumerate(rows)]
    table = write_table(images / "g.csv", rows, ("path", "class", "group", "split"))
    with pytest.raises(InputError, match="10 groups are divided between splits: g0, g1"):
        own_examples("images", table)


def test_captions_and_questions_that_are_refused(images):
    def refused(kind, content, problem):
        (images / "c.json").write_text(json.dumps(content))
        with pytest.raises(InputError, match=problem):
            own_examples(kind, images / "c.json")

    one = [{"id": 1, "file_name": "0.png"}]
    refused("captions", {"images": one}, "is JSON without the lists 'images' and 'annotations'")
    refused(
        "captions", {"images": one, "annotations": [{"image_id": 2, "caption": "x"}]}, "image 2, wh"
    )
    refused(
        "captions", {"images": one, "annotations": [{"caption": "x"}]}, "an entry has no 'image_id'"
    )
    refused("captions", [{"path": "0.png", "caption": " "}], "the column 'caption' is empty")
    refused("questions", [{"path": "0.png", "question": "a?"}], "has no column 'answer'")
    refused("questions", [{"path": "0.png", "caption": "a?"}], "has none of the columns question")
    with pytest.raises(InputError, match="is a folder"):
        own_examples("captions", images)


def test_videos_that_cannot_be_read_are_named(tmp_path):
    good = write_video(tmp_path / "good.mp4", range(0, 200, 10)).read_bytes()
    cut, noise = tmp_path / "cut.mp4", tmp_path / "noise.mp4"
    cut.write_bytes(good[: len(good) // 2])
    noise.write_bytes(bytes(range(256)) * 8)
    (tmp_path / "list.mp4").write_text(f"ffconcat version 1.0\nfile '{tmp_path}/good.mp4'\n")
    (tmp_path / "hls.mp4").write_text(f"#EXTM3U\n#EXTINF:1,\n{tmp_path}/good.mp4\n")
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=16_000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    for name in ("cut", "noise", "list", "hls"):
        with pytest.raises(InputError, match=rf"{name}\.mp4: not a readable video \([^/]*\)"):
            clip_facts(str(tmp_path / f"{name}.mp4"))
    with pytest.raises(InputError, match=r"sound\.mp4: has no video"):
        clip_facts(str(tmp_path / "sound.mp4"))
    (tmp_path / "frames").mkdir()
    with pytest.raises(InputError, match="is a folder without images"):
        clip_facts(str(tmp_path / "frames"))


def test_variable_frame_rate_and_frames_of_other_sizes(tmp_path):
    levels = [20, 60, 100, 140, 180]
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("libx264", rate=100)
        stream.height, stream.width, stream.pix_fmt = 16, 16, "yuv420p"
        for level, time in zip(levels, (0, 1, 30, 31, 90), strict=True):
            frame = av.VideoFrame.from_ndarray(np.full((16, 16, 3), level, np.uint8), "rgb24")
            frame.pts = time
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert clip_facts(str(tmp_path / "a.mkv")).frames == 5
    found = [np.asarray(one).mean() for one in frames_of(str(tmp_path / "a.mkv"), range(5), 1)]
    assert np.abs(np.subtract(found, levels)).max() < 4
    write_frames(tmp_path / "clip", [10, 20], (20, 30))
    save(tmp_path / "clip" / "frame10.png", np.full((40, 20, 3), 200, np.uint8))
    metadata = {
        "decoder": {
            "kind": "clip",
            "shape": [3, 3, 8, 8],
            "fit": "crop",
            "bits": 8,
            "labels": False,
        },
        "classes": ["a", "b"],
    }
    _, examples = own_inputs("video-classes", tmp_path / "clip", metadata)
    np.testing.assert_allclose(examples["clip"][0].mean(axis=(1, 2, 3)), [10, 20, 200])


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"size": (0, 5)}, "images cannot have the size 0x5"),
        ({"frames": 0}, "clips cannot have 0 frames"),
        ({"fit": "zoom"}, "there is no fit 'zoom'. Choose one of crop, stretch, pad"),
        ({"normalisation": "x"}, "there is no normalisation 'x'"),
        ({"workers": -1}, "there cannot be -1 worker processes"),
    ],
)
def test_settings_that_are_refused(values, problem):
    with pytest.raises(InputError, match=problem):
        InputSettings(**values)


def test_fits(images, tmp_path):
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, :10], wide[:, 20:] = 200, 100
    save(tmp_path / "wide.png", wide)
    for fit, expected in (
        ("crop", np.zeros((10, 10))),
        ("stretch", np.repeat([[200, 0, 100]], 10, axis=0)),
        ("pad", None),
    ):
        shape = [3, 10, 3] if fit == "stretch" else [3, 10, 10]
        metadata = {"decoder": {"kind": "image", "shape": shape, "fit": fit, "bits": 8}}
        _, examples = own_inputs("image-classes", tmp_path / "wide.png", metadata)
        found = examples["image"][0, 0]
        if expected is None:
            assert (found[[0, 1, 2, 6, 7, 8, 9]] == 255).all()
            assert found[4, 0] == 200
            assert found[4, -1] == 100
        else:
            np.testing.assert_allclose(found, expected, atol=45)
