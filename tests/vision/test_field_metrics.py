"""Metrics of the fields equal those of other implementations."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sacrebleu
from skimage.metrics import peak_signal_noise_ratio
from skimage.metrics import structural_similarity as reference_similarity
from torchmetrics.text import CharErrorRate

from danq.vision.bleu import bleu
from danq.vision.dataset import Dataset, Examples
from danq.vision.frame_similarity import signal_to_noise, structural_similarity
from danq.vision.task_registry import load_task
from danq.vision.vocabulary import Vocabulary


@pytest.mark.parametrize("seed", range(4))
def test_bleu_equals_that_of_sacrebleu(seed):
    rng = np.random.default_rng(seed)

    def sentence():
        return [f"w{k}" for k in rng.integers(0, 6, rng.integers(4, 12))]

    texts = [sentence() for _ in range(30)]
    references = [[sentence() for _ in range(3)] for _ in texts]
    for row, text in zip(references, texts, strict=True):
        row[0] = [word if rng.random() < 0.8 else "w9" for word in text]
    scorer = sacrebleu.BLEU(tokenize="none", smooth_method="none", force=True)
    columns = [[" ".join(row[k]) for row in references] for k in range(3)]
    expected = scorer.corpus_score([" ".join(text) for text in texts], columns).score / 100
    assert 0 < bleu(texts, references) < 1
    assert bleu(texts, references) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("shape", [(20, 31), (9, 7), (5, 6)])
def test_similarity_of_frames_equals_that_of_scikit_image(shape):
    rng = np.random.default_rng(0)
    true = rng.random((3, *shape)).astype(np.float32)
    found = np.clip(true + rng.normal(0, 0.1, true.shape), 0, 1).astype(np.float32)
    size = min(7, *(n if n % 2 else n - 1 for n in shape))
    pairs = list(zip(found.astype(float), true.astype(float), strict=True))
    expected = [reference_similarity(a, b, data_range=1, win_size=size) for a, b in pairs]
    assert structural_similarity(found, true) == pytest.approx(np.mean(expected), rel=1e-6)
    error = float(np.mean((found - true) ** 2, dtype=np.float64))
    ratio = peak_signal_noise_ratio(true.astype(float), found.astype(float), data_range=1)
    assert signal_to_noise(error) == pytest.approx(ratio, rel=1e-5)
    assert signal_to_noise(0.0) == math.inf


def test_error_rate_of_symbols_equals_that_of_torchmetrics():
    task = load_task("text-lines")
    known = Vocabulary("0123456789")
    true, found = ["123", "4455", "98765"], ["123", "455", "9876512"]
    examples = Examples({"words": known.encode_all(true, 9, ends=True)})
    data = Dataset(examples, examples, examples, {"vocabulary": list(known.words)})
    rate = float(CharErrorRate()(found, true))
    assert task.score(found, data.test) == {
        "lines": pytest.approx(1 / 3),
        "symbols": pytest.approx(1 - rate),
    }
