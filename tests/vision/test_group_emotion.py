from __future__ import annotations

import numpy as np
import pytest
import torch

from danq.errors import InputError
from danq.vision.clip_files import write_png
from danq.vision.generators.group_scenes import (
    BYSTANDER,
    FACE,
    MOODS,
    Moods,
    expressive,
    face_images,
    group_scenes,
    moods,
    most_likely_moods,
)
from danq.vision.task import Sizes
from danq.vision.task_registry import load_task


def test_each_group_has_people_of_whom_one_is_no_bystander():
    shown = moods(3000, np.random.default_rng(0))
    assert (shown.real.argmin(axis=1)[~shown.real.all(axis=1)] >= 1).all()
    assert shown.member.any(axis=1).all()
    assert not (shown.member & ~shown.real).any()
    others = shown.real.sum() - len(shown.real)
    assert (shown.real & ~shown.member).sum() / others == pytest.approx(BYSTANDER, abs=0.02)


def test_bystanders_do_not_count_for_the_most_likely_mood():
    one = Moods(
        real=np.array([[True, True, True, False]]),
        member=np.array([[False, False, True, False]]),
        expression=np.array([[0, 0, 2, 0]]),
        background=np.array([2]),
        mood=np.array([2]),
    )
    assert most_likely_moods(one).tolist() == [2]
    assert most_likely_moods(
        Moods(one.real, one.real, one.expression, one.background, one.mood)
    ).tolist() == [0]


def test_mouths_bend_and_eyes_stay():
    faces = face_images("train")[:20]
    assert faces.shape == (20, FACE, FACE)
    up, down, same = (
        expressive(faces, np.full(20, bend), np.random.default_rng(0)) for bend in (1, -1, 0)
    )
    top, mouth = slice(0, FACE // 3), slice(FACE // 2, FACE)
    assert np.abs(up[:, top] - same[:, top]).max() < 0.02
    assert np.abs(up[:, mouth] - down[:, mouth]).mean() > 0.02
    mirrored = (same == faces).all(axis=(1, 2))
    np.testing.assert_allclose(same[~mirrored], faces[~mirrored, :, ::-1])


def test_people_of_the_splits_differ():
    counts = [len(face_images(split)) for split in ("train", "valid", "test")]
    assert counts == [60, 15, 25]
    every = np.concatenate([face_images(split) for split in ("train", "valid", "test")])
    assert len(np.unique(every.reshape(100, -1), axis=0)) == 100


def test_faces_of_bystanders_are_dark_and_padding_is_black():
    shown = moods(200, np.random.default_rng(0))
    _, faces = group_scenes("test", shown, np.random.default_rng(1))
    light = faces.mean(axis=(2, 3, 4))
    assert (light[~shown.real] == 0).all()
    assert light[shown.member].mean() > 1.5 * light[shown.real & ~shown.member].mean()


def test_padding_of_faces_changes_no_output():
    task = load_task("group-emotion")
    data = task.make(0, Sizes(4, 4, 6))
    batch = next(data.test.batches(6, torch.device("cpu")))
    other = batch | {"faces": torch.where(batch["real"][..., None, None, None], batch["faces"], 1)}
    for model in task.models:
        module = model.build(data.metadata, **model.hyperparameters).eval()
        with torch.inference_mode():
            torch.testing.assert_close(task.call(module, other), task.call(module, batch))


def test_a_scene_and_a_folder_of_faces_are_read(tmp_path):
    task = load_task("group-emotion")
    data = task.make(0, Sizes(4, 4, 6))
    write_png(tmp_path / "scene.png", data.test["image"][0])
    (tmp_path / "faces").mkdir()
    for number, zoom in ((0, 1), (1, 2)):
        path = tmp_path / "faces" / f"{number}.png"
        write_png(path, data.test["faces"][0, 0], zoom=zoom)
    read = task.read_input(tmp_path / "scene.png", data.metadata, str(tmp_path / "faces"))
    np.testing.assert_array_equal(read["image"][0], data.test["image"][0])
    np.testing.assert_array_equal(read["faces"][0, :2], data.test["faces"][0, [0, 0]])
    assert read["real"].tolist() == [[True, True, False, False, False, False]]
    model = task.models[0]
    module = model.build(data.metadata, **model.hyperparameters).eval()
    with torch.inference_mode():
        (line,) = task.predict(module, read, data.metadata)
    assert line.split()[0] in MOODS
    with pytest.raises(InputError, match="the faces of the scene are missing"):
        task.read_input(tmp_path / "scene.png", data.metadata, None)
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="there are 0 faces; the model reads 1 to 6"):
        task.read_input(tmp_path / "scene.png", data.metadata, str(tmp_path / "none"))
