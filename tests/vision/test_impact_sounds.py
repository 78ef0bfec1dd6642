from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.io import wavfile

from danq.errors import InputError
from danq.vision.dataset import Examples
from danq.vision.generators.impact_videos import (
    BANDS,
    COMPRESSION,
    FPS,
    FRAMES,
    MATERIALS,
    RATE,
    envelopes,
    impacts,
    onsets,
)
from danq.vision.tasks.impact_sounds import Spacetime, write_wav
from danq.vision.tasks.sound_examples import known_impacts, looked_up


@pytest.fixture(scope="module")
def made():
    return impacts(40, np.random.default_rng(0))


def test_a_tone_is_loudest_in_its_band():
    time = np.arange(FRAMES * RATE // FPS) / RATE
    edges = 21.4 * np.log10(1 + 0.00437 * np.array([0, RATE / 2]))
    centre = edges[1] * 4 / (BANDS + 1)
    tone = 0.5 * np.sin(2 * np.pi * (10 ** (centre / 21.4) - 1) / 0.00437 * time)
    levels = envelopes(tone[None])[0].reshape(-1, BANDS)[5:-5]
    assert (levels.argmax(axis=1) == 3).all()
    rms = 0.5 / np.sqrt(2)
    assert levels[:, 3].mean() == pytest.approx(rms**COMPRESSION, rel=0.02)


def test_impacts_and_materials_are_found_in_the_true_sound(made):
    others = impacts(150, np.random.default_rng(90))
    known = known_impacts(
        Examples(
            {
                "levels": envelopes(others.waves),
                "wave": others.waves.astype(np.float32),
                "material": others.material.astype(np.int64),
            }
        ),
        300,
    )
    found = looked_up(envelopes(made.waves), known)
    right = []
    for levels, hits, material, samples, kind in zip(
        found.levels, made.hits, made.material, found.waves, found.kinds, strict=True
    ):
        assert kind == material
        assert len(samples) == made.waves.shape[1]
        right.append(onsets(levels) == np.flatnonzero(hits).tolist())
    # The ringing of a hard impact can hide a soft one.
    assert np.mean(right) >= 0.9


def test_materials_ring_at_their_modes(made):
    spectrum = np.abs(np.fft.rfft(made.waves, axis=1))
    peak = np.fft.rfftfreq(made.waves.shape[1], 1 / RATE)[spectrum.argmax(axis=1)]
    for kind, material in enumerate(MATERIALS.values()):
        modes = np.array(material.modes)
        for one in peak[made.material == kind]:
            assert np.abs(one / modes - 1).min() < 0.15


def test_spacetime_adds_the_neighbouring_frames():
    clip = torch.randn(2, 4, 3, 5, 5)
    seen = Spacetime()(clip)
    torch.testing.assert_close(seen[:, :, :3], clip)
    torch.testing.assert_close(seen[:, 2, 3], clip[:, 1].mean(dim=1))
    torch.testing.assert_close(seen[:, 2, 5], clip[:, 3].mean(dim=1))
    torch.testing.assert_close(seen[:, 3, 5], clip[:, 3].mean(dim=1))


def test_scipy_reads_the_wav_file(tmp_path):
    samples = np.linspace(-1, 1, 100)
    write_wav(tmp_path / "a.wav", samples, 8000)
    rate, found = wavfile.read(tmp_path / "a.wav")
    assert rate == 8000
    np.testing.assert_allclose(found / 32767, samples, atol=1e-4)
    with pytest.raises(InputError, match="exists"):
        write_wav(tmp_path / "a.wav", samples, 8000)
