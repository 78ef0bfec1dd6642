from __future__ import annotations

import csv
import json
import logging

import av
import numpy as np
import pytest
from PIL import Image

from danq.errors import InputError
from danq.vision.dataset import SPLITS
from danq.vision.own_data import InputSettings, own_examples, own_inputs
from tests.vision.own_data.image_set import noisy, save


def write_video(path, levels, *, codec="libx264", rate=10, size=(32, 48), rotation=0):
    """Write a video whose frames are grey, each of one level."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
        for level in levels:
            frame = av.VideoFrame.from_ndarray(np.full((*size, 3), level, np.uint8), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_gif(path, levels, size=(32, 48)):
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = [Image.fromarray(np.full(size, level, np.uint8)) for level in levels]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    return path


def write_frames(folder, levels, size=(32, 48)):
    for number, level in enumerate(levels):
        save(folder / f"frame{number}.png", np.full((*size, 3), level, np.uint8))
    return folder


def write_table(path, rows, columns):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


RISE, FALL = [*range(20, 220, 10)], [*range(210, 10, -10)]


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for name, levels in (("rise", RISE), ("fall", FALL)):
        write_video(folder / name / "a.mp4", levels)
        write_video(folder / name / "b.webm", levels[1:], codec="libvpx")
        write_video(folder / name / "c.avi", levels[2:], codec="mpeg4")
        write_gif(folder / name / "d.gif", levels[3:])
        write_frames(folder / name / "e", levels[4:10])
    return folder


def test_videos_of_all_forms_become_clips(videos, caplog):
    with caplog.at_level(logging.INFO, "danq"):
        task, data = own_examples("videos", videos, InputSettings(frames=8))
    assert task == "video-classes"
    assert data.metadata["shape"] == [8, 3, 32, 48]
    assert data.metadata["classes"] == ["fall", "rise"]
    assert [len(getattr(data, split)) for split in SPLITS] == [6, 2, 2]
    for split in SPLITS:
        examples = getattr(data, split)
        clips, real, labels = examples["clip"], examples["real"], examples["label"]
        for clip, mask, label, source in zip(clips, real, labels, examples.sources, strict=True):
            levels = clip[mask].mean(axis=(1, 2, 3))
            assert (np.sign(np.diff(levels)) == (1 if label else -1)).all()
            assert mask.sum() == (6 if source["path"].endswith("e") else 8)
            assert not clip[~mask].any()
    assert (
        "8 of 10 videos have more than 8 frames; of these, 8 at equal distances are used"
        in caplog.text
    )


def test_frames_are_those_in_the_middle_of_segments(videos):
    names = ("rise/a.mp4", "rise/e")
    for name, steps, expected in ((names[0], 4, [2, 7, 12, 17]), (names[1], 8, range(6))):
        metadata = own_examples("videos", videos, InputSettings(frames=steps))[1].metadata
        paths, examples = own_inputs("video-classes", videos / name, metadata)
        assert paths == [str(videos / name)]
        levels = examples["clip"][0][examples["real"][0]].mean(axis=(1, 2, 3))
        start = 4 if name.endswith("e") else 0
        wanted = [RISE[start + i] for i in expected]
        assert np.abs(levels - wanted).max() < 4


def test_training_draws_times_of_frames(videos):
    _, data = own_examples("videos", videos, InputSettings(frames=4))
    rows = [np.arange(len(data.train))]
    clips = [next(data.train.selected(rows, (0, epoch)))["clip"] for epoch in (0, 0, 1)]
    np.testing.assert_array_equal(clips[0], clips[1])
    assert not np.array_equal(clips[0], clips[2])


def test_classes_per_frame_follow_the_frames(tmp_path):
    rows = []
    for number in range(12):
        write_frames(tmp_path / f"clip{number}", [40] * 5 + [200] * (3 + number % 3))
        names = ["dark"] * 5 + ["bright"] * (2 + number % 3) + [""]
        rows.append((f"clip{number}", ";".join(names)))
    table = write_table(tmp_path / "t.csv", rows, ("path", "frames"))
    task, data = own_examples("videos", table, InputSettings(frames=6))
    assert task == "video-frames"
    assert data.metadata["classes"] == ["bright", "dark"]
    parts = [next(data.train.selected([np.arange(len(data.train))], e)) for e in ((0, 1), None)]
    np.testing.assert_array_equal(parts[1]["labels"], data.train["labels"])
    for part in parts:
        level = part["clip"].mean(axis=(2, 3, 4))
        known = part["labels"] >= 0
        np.testing.assert_array_equal((level < 120)[known], (part["labels"] == 1)[known])
        assert (~known).any()

    rows = [
        (f"clip{n}", s, e, c) for n in range(12) for s, e, c in ((5, 7, "bright"), (1, 4, "dark"))
    ]
    table = write_table(tmp_path / "s.csv", rows, ("path", "start", "end", "class"))
    _, data = own_examples("videos", table, InputSettings(frames=8))
    found = [row for split in SPLITS for row in getattr(data, split)["labels"].tolist()]
    assert [-1, 1, 1, 1, -1, 0, 0, -1] in found

    rows[0] = ("clip0", 3, 7, "bright")
    with pytest.raises(InputError, match="two segments of .*clip0 overlap"):
        own_examples(
            "videos", write_table(tmp_path / "s.csv", rows, ("path", "start", "end", "class"))
        )
    rows[0] = ("clip0", 5, 70, "bright")
    with pytest.raises(InputError, match="classes of 70 frames, but .*clip0 has 8 frames"):
        own_examples(
            "videos", write_table(tmp_path / "s.csv", rows, ("path", "start", "end", "class"))
        )


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for number in range(12):
        save(folder / f"{number}.png", noisy((20 * number, 100, 200), number))
    return folder


def test_several_labels_and_values(images):
    rows = [(f"{n}.png", "a;b" if n % 2 else "", n / 2 if n else "", n % 5) for n in range(12)]
    table = write_table(
        images / "labels.csv", rows, ("path", "labels", "value.x", "value.long name")
    )
    task, data = own_examples("images", table)
    assert (task, data.metadata["classes"]) == ("image-labels", ["a", "b"])
    assert set(map(tuple, data.train["labels"].tolist())) == {(True, True), (False, False)}

    table = write_table(
        images / "values.csv", [(r[0], *r[2:]) for r in rows], ("path", "value.x", "value.y")
    )
    task, data = own_examples("images", table)
    assert (task, data.metadata["names"]) == ("image-values", ["x", "y"])
    whole = np.concatenate([getattr(data, split)["values"] for split in SPLITS])
    assert whole.dtype == np.float32
    assert np.isnan(whole).sum() == 1
    assert data.metadata["scale"]["mean"][0] == pytest.approx(
        np.nanmean(data.train["values"][:, 0])
    )


def test_captions_of_coco_and_of_pairs_are_equal(images, tmp_path):
    texts = [[f"A  red, cat-like thing no. {n}", f"Une chose à côté {n % 3}"] for n in range(12)]
    pairs = [{"path": f"{n}.png", "caption": t} for n in range(12) for t in texts[n]]
    (images / "pairs.json").write_text(json.dumps(pairs), encoding="utf-8")
    coco = {
        "images": [{"id": n, "file_name": f"{n}.png"} for n in range(12)],
        "annotations": [{"image_id": n, "caption": t} for n in range(12) for t in texts[n]],
    }
    (images / "annotations").mkdir()
    (images / "annotations" / "captions_all.json").write_text(json.dumps(coco))
    task, data = own_examples("captions", images / "pairs.json")
    assert task == "image-captions"
    assert data.metadata["lengths"] == {"caption": 8}
    assert "cat-like" in data.metadata["vocabulary"]
    assert "côté" in data.metadata["vocabulary"]
    # All captions of a file are in one split.
    files = [set(getattr(data, split).sources) for split in SPLITS]
    assert sum(map(len, files)) == len(set.union(*files)) == 12
    for row, source in enumerate(data.test.sources):
        number = int(source.rsplit("/", 1)[1].removesuffix(".png"))
        references = json.loads(data.test["references"][row])
        assert references == [f"a red cat-like thing no {number}", f"une chose à côté {number % 3}"]
    _, same = own_examples("captions", images / "annotations" / "captions_all.json")
    assert same.sha256 == data.sha256


def test_questions_about_images(images):
    rows = [
        {"path": f"{n}.png", "question": f"Is it number {q}?", "answer": "Yes" if q == n else "no"}
        for n in range(12)
        for q in (n, n + 1)
    ]
    (images / "questions.json").write_text(json.dumps(rows), encoding="utf-8")
    task, data = own_examples("questions", images / "questions.json")
    assert task == "image-questions"
    assert data.metadata["answers"] == ["no", "yes"]
    assert data.train["question"].shape[1] == data.metadata["lengths"]["question"] == 4
    assert set(data.train["answer"]) == {0, 1}


def test_inputs_of_a_model_keep_its_classes(images, tmp_path):
    rows = [(f"{n}.png", "low" if n < 6 else "high") for n in range(12)]
    _, data = own_examples("images", write_table(images / "c.csv", rows, ("path", "class")))
    paths, examples = own_inputs("image-classes", images, data.metadata)
    assert len(paths) == 12
    assert examples.names == ("image",)
    one = write_table(images / "one.csv", [("3.png", "low"), ("9.png", "high")], ("path", "class"))
    paths, examples = own_inputs("image-classes", one, data.metadata, labelled=True)
    np.testing.assert_array_equal(examples["label"], [1, 0])
    wrong = write_table(images / "wrong.csv", [("3.png", "middle")], ("path", "class"))
    with pytest.raises(
        InputError, match=r"wrong\.csv, line 2: the model has no class 'middle'; it has high, low"
    ):
        own_inputs("image-classes", wrong, data.metadata)
    none = write_table(images / "none.csv", [("3.png",)], ("path",))
    assert len(own_inputs("image-classes", none, data.metadata)[1]) == 1
    with pytest.raises(InputError, match="has none of the columns class"):
        own_inputs("image-classes", none, data.metadata, labelled=True)


def test_a_damaged_frame_of_a_folder_is_named(tmp_path):
    for number in range(4):
        write_frames(tmp_path / f"c{number % 2}" / str(number), RISE[:3])
    frame = tmp_path / "c1" / "1" / "frame1.png"
    frame.write_bytes(frame.read_bytes()[:60])
    with pytest.raises(InputError, match=r"1 of 4 videos cannot be read: .*frame1\.png \("):
        own_examples("videos", tmp_path)
