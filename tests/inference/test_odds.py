"""Log odds of extreme logits; equal effects of variants and mutagenesis."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import danq
from danq.inference.odds import odds

TEXT = "".join(np.random.default_rng(4).choice(list("ACGT"), 80))


@pytest.mark.parametrize("z", [-1e30, -200.0, -30.0, 0.0, 25.0, 28.0, 35.0, 80.0, 1e30])
def test_log_odds_of_extreme_logits(z):
    found = odds(np.array([[z]], dtype=np.float32))
    # The limits are z / ln 2 for negative logits and log2(1 / 1e-12) for positive ones.
    p = 1 / (1 + math.exp(-z)) if abs(z) < 500 else float(z > 0)
    rest = 1 / (1 + math.exp(z)) if abs(z) < 500 else float(z < 0)
    bits = max(z, -500) / math.log(2) if z < 0 else math.log2(p / (rest + 1e-12))
    assert found.probability[0, 0] == pytest.approx(p, abs=1e-15)
    assert found.bits[0, 0] == pytest.approx(bits, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("strand", ["both", "forward"])
@pytest.mark.parametrize("bias", [0, 27])
def test_a_substitution_has_the_effect_of_the_variant(small_model, tmp_path, strand, bias):
    model, at = small_model(), 33
    with torch.no_grad():
        list(model.module.parameters())[-1].add_(bias)
    genome = tmp_path / "genome.fa"
    genome.write_text(f">chr1\n{TEXT}\n")
    rows = [("chr1", at + 1, TEXT[at], letter) for letter in "ACGT" if letter != TEXT[at]]
    model = model.with_options(strand=strand, tolerance=0.0)
    variants = danq.Variants(rows, center=17)
    scored = danq.score_variants(model, variants, genome, scores=["logit"])
    effects = danq.mutate(model, TEXT[at - 17 : at + 23]).values[17]
    known = [base for base in range(4) if "ACGT"[base] != TEXT[at]]
    scored = scored.values[:, : len(model.tracks)]
    assert np.abs(scored).max() > 1e-2
    np.testing.assert_allclose(effects[known], scored, rtol=0, atol=1e-6 * max(1, bias))
