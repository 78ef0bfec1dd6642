"""danq's side of the comparisons with other programs gives the values that those compute."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.harness.reference_model import QUICK, danq_model, matched_models, one_hot
from benchmarks.peers.comparisons import COMPARISONS
from danq.genome.nucleotide_codes import encode, reverse_complement

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def models():
    """The reference model, and danq's with the same weights."""
    reference, module = matched_models(QUICK, dropout=False)
    options = {"device": "cpu", "strand": "forward", "tolerance": 0.0, "precision": "fp32"}
    return reference.eval(), danq_model(QUICK, module).with_options(**options)


@torch.no_grad()
def logits(reference, codes: np.ndarray) -> np.ndarray:
    return reference(one_hot(codes)).numpy()


def mutants(codes: np.ndarray) -> np.ndarray:
    """``(4, L, L)`` sequences, one for each base at each position."""
    rows = np.broadcast_to(codes, (4, len(codes), len(codes))).copy()
    along = np.arange(len(codes))
    rows[:, along, along] = np.arange(4)[:, None]
    return rows


def test_saturation_mutagenesis(models):
    reference, model = models
    one = COMPARISONS["saturation_mutagenesis"](QUICK)
    (codes,) = one.arguments
    every = logits(reference, mutants(codes[0]).reshape(-1, QUICK.length))
    expected = every.reshape(1, 4, QUICK.length, -1) - logits(reference, codes)
    np.testing.assert_allclose(one.own(model), expected, atol=1e-5)


def test_marginalization(models):
    reference, model = models
    one = COMPARISONS["marginalization"](QUICK)
    codes, motif, start = one.arguments
    expected = []
    for site in (encode(motif), reverse_complement(encode(motif))):
        changed = codes.copy()
        changed[:, start : start + len(site)] = site
        expected.append((logits(reference, changed) - logits(reference, codes)).mean(axis=0))
    np.testing.assert_allclose(one.own(model), expected, atol=1e-5)


def test_greedy_design(models):
    reference, model = models
    one = COMPARISONS["greedy_design"](QUICK)
    codes, track, edits = one.arguments
    best = codes[0]
    for _ in range(edits):
        every = mutants(best).reshape(-1, QUICK.length)
        best = every[logits(reference, every)[:, track].argmax()]
    assert (best != codes[0]).sum() == edits
    np.testing.assert_array_equal(one.own(model), one_hot(best[None]).numpy())


def test_integrated_gradients(models):
    reference, model = models
    one = COMPARISONS["integrated_gradients"](QUICK)
    codes, track, steps = one.arguments
    hot = one_hot(codes)
    total = torch.zeros_like(hot)
    for step in range(steps):
        soft = (0.25 + (step + 0.5) / steps * (hot - 0.25)).requires_grad_()
        (gradient,) = torch.autograd.grad(reference(soft)[:, track].sum(), soft)
        total += gradient / steps
    np.testing.assert_allclose(one.own(model), ((hot - 0.25) * total).sum(1), atol=1e-5)


@pytest.mark.slow
def test_the_other_programs_give_the_same_values(tmp_path: Path):
    out = tmp_path / "peers.json"
    words = ["-m", "benchmarks.peers", "--quick", "--repeats", "1", "--threads", "1"]
    subprocess.run([sys.executable, *words, "--out", str(out)], cwd=ROOT, check=True)
    rows = json.loads(out.read_text())["measurements"]
    assert {row["benchmark"] for row in rows} == set(COMPARISONS)
    for row in rows:
        assert math.isfinite(row["value"])
        if row["metric"].startswith("largest difference"):
            assert row["value"] < row["target"]
            assert row["details"]["largest_value"] > 100 * row["value"]
