from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.io import wavfile
from scipy.stats import pearsonr

from danq.vision import RunSettings, load_vision_model, predict, train
from danq.vision.generators.impact_videos import BANDS, REACH
from danq.vision.task import Sizes
from danq.vision.task_registry import load_task
from danq.vision.tasks.sound_examples import (
    Impacts,
    correlation,
    known_impacts,
    looked_up,
    loudness_and_centroid,
)


@pytest.fixture(scope="module")
def data():
    return load_task("sound-examples").make(0, Sizes(40, 8, 12))


def test_known_sounds_are_found_again_by_their_levels(data):
    known = known_impacts(data.train, 30)
    heard = looked_up(data.train["levels"][:10], known)
    size = data.train["wave"].shape[1] // data.train["levels"].shape[1]
    for row in range(10):
        first = np.flatnonzero(heard.waves[row])[0] // size
        part = slice(first * size, (first + 3) * size)
        np.testing.assert_allclose(heard.waves[row, part], data.train["wave"][row, part], atol=1e-6)
    assert (heard.kinds == data.train["material"][:10]).all()


def test_the_nearest_impact_is_the_one_with_the_least_squared_error():
    levels = np.zeros((3, REACH, 2))
    levels[1, :2], levels[2, :3] = 1.0, 1.0
    known = Impacts(levels, np.zeros((3, 8)), np.arange(3))
    assert known.nearest(np.full((2, 2), 0.9)) == 1
    assert known.nearest(np.full((3, 2), 0.9)) == 2
    assert known.nearest(np.full((5, 2), 0.1)) == 0


def test_no_known_impact_is_silence(data):
    known = Impacts(np.zeros((0, REACH, 30)), np.zeros((0, REACH * 270)), np.zeros(0, np.int64))
    heard = looked_up(data.test["levels"], known)
    assert (heard.waves == 0).all()
    assert (heard.kinds == -1).all()


def test_loudness_and_centroid_of_the_loudest_step():
    levels = np.zeros((1, 4, 3 * BANDS))
    levels[0, 2, BANDS + 4], levels[0, 2, BANDS + 6], levels[0, 1, 0] = 0.2, 0.6, 0.5
    loudness, centroid = loudness_and_centroid(levels, BANDS)
    assert loudness[0] == pytest.approx(0.8)
    assert centroid[0] == pytest.approx((0.2 * 4 + 0.6 * 6) / 0.8)


def test_correlation_is_that_of_scipy_and_zero_without_variance():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 20))
    assert correlation(first, second) == pytest.approx(pearsonr(first, second).statistic)
    assert correlation(first, np.ones(20)) == 0


def test_the_true_waveform_has_no_error(data):
    task = load_task("sound-examples")
    heard = looked_up(data.test["levels"], known_impacts(data.train, 30))
    scores = task.score(heard._replace(waves=data.test["wave"].astype(float)), data.test)
    assert scores["mse"] == 0
    assert scores["wave_mse"] < 1e-9
    assert scores["loudness_r"] == pytest.approx(1)
    assert scores["centroid_r"] == pytest.approx(1)


def test_the_model_file_has_the_examples_of_its_training(data, tmp_path):
    quiet = RunSettings(device="cpu", threads=1, quiet=True)
    train("sound-examples", out=tmp_path / "run", data=data, quick=True, run=quiet)
    module = load_vision_model(tmp_path / "run").module
    expected = known_impacts(data.train, 600)
    np.testing.assert_allclose(module.known().waves, expected.waves, atol=1e-6)
    assert (module.known().kinds == expected.kinds).all()
    np.save(tmp_path / "hit.npy", data.test["clip"][0])
    lines = predict(tmp_path / "run", tmp_path / "hit.npy", out=tmp_path / "hit.wav", device="cpu")
    assert "nearest example: " in lines[0]
    rate, samples = wavfile.read(tmp_path / "hit.wav")
    assert rate == data.metadata["rate"]
    assert len(samples) == data.test["wave"].shape[1]
    with torch.inference_mode():
        clip = torch.from_numpy(data.test["clip"][:1]) / 255
        heard = looked_up(module(clip).numpy(), module.known())
    np.testing.assert_allclose(samples / 32767, heard.waves[0], atol=1e-3)
