from __future__ import annotations

import numpy as np
import pytest
import torch

from danq.core import contrastive_loss
from danq.vision.generators.walker_videos import HEIGHT, JOINTS, WIDTH, joints, people, silhouettes
from danq.vision.task import Sizes
from danq.vision.task_registry import load_task
from danq.vision.tasks.gait import UNSEEN, VIEWS, similarity_loss
from danq.vision.tasks.pose import posed_walks


def walk(view, count=20, frames=8):
    traits = people(count, np.random.default_rng(0))
    phase = np.arange(frames) / frames + np.zeros((count, 1))
    return traits, joints(traits, phase, np.full(count, view))


def test_limbs_keep_their_length_in_a_side_view():
    traits, places = walk(0.0)
    knee, foot, hip = (places[:, :, JOINTS.index(n)] for n in ("left knee", "left foot", "hip"))
    half = np.broadcast_to(traits["leg"][:, None] / 2, knee.shape[:2])
    np.testing.assert_allclose(np.linalg.norm(knee - hip, axis=-1), half)
    np.testing.assert_allclose(np.linalg.norm(foot - knee, axis=-1), half)


def test_right_and_left_swap_after_half_a_cycle():
    _, places = walk(0.0)
    left, right = (places[:, :, JOINTS.index(f"{side} foot")] for side in ("left", "right"))
    np.testing.assert_allclose(np.roll(left, 4, axis=1), right, atol=1e-9)


def test_joints_are_within_the_silhouette_and_the_frame():
    traits, places = walk(0.6)
    pixels = silhouettes(places, traits["build"])
    at = places.round().astype(int)
    assert (at >= 0).all()
    assert (at[..., 0] < WIDTH).all()
    assert (at[..., 1] < HEIGHT).all()
    rows, frames = np.indices(places.shape[:2])
    for joint in range(len(JOINTS)):
        found = pixels[rows, frames, 0, at[:, :, joint, 1], at[:, :, joint, 0]]
        assert found.min() > 60


def test_bars_hide_half_of_a_frame():
    clips, _ = posed_walks(40, np.random.default_rng(0))
    bars = (clips == 128).all(axis=4).sum(axis=3)[:, :, 0]
    assert set(np.unique(bars)) <= {0, HEIGHT // 2}
    assert (bars > 0).mean() == pytest.approx(0.35, abs=0.08)


def test_the_test_split_has_unseen_people_and_an_unseen_view():
    assert UNSEEN not in VIEWS
    data = load_task("gait").make(0, Sizes(50, 10, 10))
    assert set(data.train["view"]) <= set(VIEWS)
    assert list(data.test["view"][1::2]) == [UNSEEN] * 5
    assert list(data.test["walker"]) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_the_contrastive_loss_weights_both_kinds_of_pairs_equally():
    points, who = torch.randn(5, 3), torch.tensor([0, 0, 1, 2, 3])
    pairs = [(i, j) for i in range(5) for j in range(i + 1, 5)]
    losses = [contrastive_loss(points[[i]], points[[j]], who[[i]] == who[[j]]) for i, j in pairs]
    expected = (losses[0] + sum(losses[1:]) / 9) / 2
    torch.testing.assert_close(similarity_loss(points, who, "contrastive"), expected)
    alone = torch.tensor([0, 1, 2, 3, 4])
    assert similarity_loss(points, alone, "triplet") == 0
