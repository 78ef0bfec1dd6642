"""BLEU against sacrebleu, for texts of several lengths with one or more references."""

from __future__ import annotations

import numpy as np
import pytest
import sacrebleu

from danq.vision.bleu import bleu


def texts(rng: np.random.Generator, count: int) -> list[list[str]]:
    return [[f"w{k}" for k in rng.integers(6, size=rng.integers(4, 12))] for _ in range(count)]


def edited(rng: np.random.Generator, words: list[str]) -> list[str]:
    """Words with some of them replaced, left out or repeated."""
    found = []
    for word in words:
        chance = rng.random()
        found += [] if chance < 0.1 else [word, word] if chance < 0.2 else [word]
    return found


@pytest.mark.parametrize("references", [1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_bleu_is_that_of_sacrebleu(references, seed):
    rng = np.random.default_rng(seed)
    known = [texts(rng, 30) for _ in range(references)]
    found = [edited(rng, one) for one in known[0]]
    oracle = sacrebleu.BLEU(tokenize="none", smooth_method="none", force=True)
    streams = [[" ".join(one) for one in stream] for stream in known]
    wanted = oracle.corpus_score([" ".join(one) for one in found], streams).score
    assert 20 < wanted < 95
    assert 100 * bleu(found, list(zip(*known, strict=True))) == pytest.approx(wanted)
