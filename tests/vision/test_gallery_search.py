from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import top_k_accuracy_score

from danq.errors import InputError
from danq.vision.gallery_search import match_curve, nearest_people, rank_metrics
from danq.vision.task import Sizes
from danq.vision.task_registry import load_task


def test_rank_one_is_the_share_of_correct_nearest_clips():
    points = np.array([[0.0], [1.0], [5.0], [5.2], [9.0], [1.4]])
    who = np.array([0, 0, 1, 1, 2, 2])
    gallery = np.array([True, False] * 3)
    np.testing.assert_allclose(match_curve(points, who, gallery), [2 / 3, 2 / 3, 1])
    assert rank_metrics(points, who, gallery) == {
        "rank1": pytest.approx(2 / 3),
        "rank5": 1.0,
        "rank10": 1.0,
    }


def test_the_curve_equals_top_k_accuracy_of_scikit_learn():
    rng = np.random.default_rng(0)
    known, queries = rng.normal(size=(12, 3)), rng.normal(size=(40, 3))
    who = rng.integers(12, size=40)
    curve = match_curve(
        np.concatenate([known, queries]),
        np.concatenate([np.arange(12), who]),
        np.arange(52) < 12,
    )
    closeness = -np.linalg.norm(queries[:, None] - known, axis=2)
    expected = [
        top_k_accuracy_score(who, closeness, k=k, labels=np.arange(12)) for k in range(1, 12)
    ]
    np.testing.assert_allclose(curve, [*expected, 1.0])


def test_a_person_is_as_near_as_their_nearest_clip():
    known = np.array([[9.0], [1.0], [2.0]])
    people, distance = nearest_people(np.array([[0.5]]), known, np.array([7, 4, 7]))
    assert people.tolist() == [[4, 7]]
    np.testing.assert_allclose(distance, [[0.5, 1.5]])


def test_a_query_of_an_unknown_person_is_never_found():
    points = np.array([[0.0], [0.0], [1.0]])
    curve = match_curve(points, np.array([0, 5, 0]), np.array([True, False, False]))
    np.testing.assert_allclose(curve, [0.5])


@pytest.mark.parametrize("name", ["gait", "gait-views"])
@torch.inference_mode()
def test_a_clip_is_searched_in_a_folder_of_known_people(name, tmp_path):
    task = load_task(name)
    data = task.make(0, Sizes(4, 4, 6))
    model = task.models[0]
    module = model.build(data.metadata, **model.hyperparameters).eval()
    (tmp_path / "known").mkdir()
    for row, person in ((0, "Ana"), (2, "Bo"), (4, "Chi")):
        np.save(tmp_path / "known" / f"{person}.npy", data.test["clip"][row])
    np.save(tmp_path / "walk.npy", data.test["clip"][4])
    for source in ("walk.npy", "known/Bo.npy"):
        examples = task.read_input(tmp_path / source, data.metadata, str(tmp_path / "known"))
        lines = task.predict(module, examples, data.metadata)
        person, distance = lines[0].split("\t")
        assert person == ("Chi" if source == "walk.npy" else "Bo")
        assert float(distance) < 1e-4
        assert len(lines) == 3
    alone = task.read_input(tmp_path / "walk.npy", data.metadata, None)
    assert "\t" in task.predict(module, alone, data.metadata)[0]
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no clips of known people"):
        task.read_input(tmp_path / "walk.npy", data.metadata, str(tmp_path / "empty"))
