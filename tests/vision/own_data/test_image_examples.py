from __future__ import annotations

import csv
import itertools
import logging

import numpy as np
import pytest
from PIL import Image

from danq.errors import InputError
from danq.vision.dataset import SPLITS, ShuffledBatches
from danq.vision.own_data import InputSettings, own_examples
from danq.vision.own_data.image_transforms import Variation, box_of
from tests.vision.own_data.image_set import COLOURS, class_folders, noisy, save


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return class_folders(tmp_path_factory.mktemp("colours"))


def test_class_folders_become_examples(folder, caplog):
    with caplog.at_level(logging.INFO, "danq"):
        task, data = own_examples("images", folder)
    assert task == "image-classes"
    assert data.metadata["classes"] == sorted(COLOURS)
    assert data.metadata["shape"] == [3, 12, 16]
    assert [len(getattr(data, split)) for split in SPLITS] == [24, 3, 3]
    images, labels = data.train["image"], data.train["label"]
    assert images.shape == (24, 3, 12, 16)
    for image, label in zip(images, labels, strict=True):
        colour = COLOURS[data.metadata["classes"][label]]
        assert np.abs(image.mean(axis=(1, 2)) - colour).max() < 15
    assert "blue 8 + 1 + 1, green 8 + 1 + 1, red 8 + 1 + 1" in caplog.text


def test_splits_depend_on_the_seed_and_on_names_alone(folder):
    one, other = (own_examples("images", folder, InputSettings(seed=s))[1] for s in (0, 1))
    again = own_examples("images", folder)[1]
    assert one.sha256 == again.sha256 != other.sha256
    assert one.test.sources == again.test.sources != other.test.sources


def test_pixels_are_those_of_pillow(folder):
    _, data = own_examples("images", folder)
    for row, source in enumerate(data.valid.sources):
        expected = np.asarray(Image.open(source)).transpose(2, 0, 1)
        np.testing.assert_array_equal(data.valid["image"][row], expected)


def test_batches_repeat_and_resume(folder):
    _, data = own_examples("images", folder)
    stream = ShuffledBatches(data.train, 7, seed=3)
    assert stream.names == ("label", "image")
    whole = [*stream.epoch(1)]
    assert [len(batch[0]) for batch in whole] == [7, 7, 7, 3]
    for batch, again in zip(whole[2:], stream.epoch(1, 2), strict=True):
        np.testing.assert_array_equal(batch[1], again[1])
    other = next(stream.epoch(2))
    assert not np.array_equal(whole[0][1], other[1])


def test_training_varies_images_and_evaluation_does_not(folder):
    _, data = own_examples("images", folder)
    rows = [np.arange(4)]
    first, second = (next(data.train.selected(rows, (0, epoch)))["image"] for epoch in (0, 1))
    plain = next(data.train.selected(rows, None))["image"]
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, plain)
    np.testing.assert_array_equal(plain, data.train["image"][:4])
    _, still = own_examples("images", folder, InputSettings(augment=False))
    np.testing.assert_array_equal(next(still.train.selected(rows, (0, 0)))["image"], plain)


def write_table(path, rows, columns=("path", "class"), **options):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, **options)
        writer.writerow(columns)
        writer.writerows(rows)
    return path


def test_table_with_given_splits_and_names_in_any_language(tmp_path):
    names = {"猫": (200, 100, 0), "hund, groß": (0, 100, 200)}
    rows = []
    for name, colour in names.items():
        for i in range(6):
            save(tmp_path / "bilder" / f"{name}-{i}.png", noisy(colour, len(rows)))
            split = ["train", "TRAIN", "train", "val", "valid", "test"][i]
            rows.append((f"bilder/{name}-{i}.png", name, split))
    table = write_table(tmp_path / "t.csv", rows, ("path", "class", "split"))
    _, data = own_examples("images", table)
    assert data.metadata["classes"] == ["hund, groß", "猫"]
    assert [len(getattr(data, split)) for split in SPLITS] == [6, 4, 2]


def test_a_misspelled_column_is_named(tmp_path, folder):
    table = write_table(tmp_path / "t.csv", [("a.png", "x")], ("path", "clas"))
    with pytest.raises(InputError, match=r"t\.csv, line 1: has a column 'clas'.*to 'class'"):
        own_examples("images", table)
    table = write_table(tmp_path / "t.csv", [("a.png", "x")], ("bild", "class"))
    with pytest.raises(InputError, match="has no column 'path'; it has bild, class"):
        own_examples("images", table)


def test_bad_files_are_named_and_stop_or_are_left_out(tmp_path, caplog):
    folder = class_folders(tmp_path / "set", 5, ".jpg")
    (folder / "red" / "empty.jpg").write_bytes(b"")
    (folder / "red" / "text.jpg").write_text("no image")
    whole = (folder / "red" / "0.jpg").read_bytes()
    (folder / "red" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"3 of 18 images cannot be read: .*cut\.jpg \("):
        own_examples("images", folder)
    with caplog.at_level(logging.WARNING, "danq"):
        _, data = own_examples("images", folder, InputSettings(skip_damaged=True))
    assert sum(len(getattr(data, split)) for split in SPLITS) == 15
    assert "3 of 18 images cannot be read and are left out" in caplog.text
    assert "text.jpg (not a readable image" in caplog.text
    assert "empty.jpg (is empty (0 bytes))" in caplog.text


def test_the_region_of_an_image_is_inside_it_for_all_sizes():
    sizes = range(20, 64)
    for height, width in itertools.product(sizes, sizes):
        for shape in ((40, 44), (31, 57)):
            for where in (0.0, 0.5, 1.0):
                variation = Variation(across=where, down=where)
                left, top, right, bottom = box_of(height, width, shape, "crop", variation)
                assert 0 <= left < right <= width
                assert 0 <= top < bottom <= height
