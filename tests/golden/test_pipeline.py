"""A small run from a simulated genome to variant effects gives the values that it gave before.

Tolerances are about a hundred times the largest differences that were measured between instruction
sets of one processor (AVX-512, AVX2, SSE4.1: losses 6e-8, predictions 9e-7, effects 5e-6 bits) and
between one and two threads (none). Rounding differs between instruction sets in the last bits; 60
training steps make it grow to these differences. An error in the data, the order of batches, the
loss, the scaling or the scores changes the values by more than the tolerances.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).parent
EXACT = ("genome_bases", "windows", "positives", "dataset_sha256", "best_epoch")
"""Numbers of integers and text: rounding does not change them."""
TOLERANCES = {
    "train_loss": 1e-5,
    "valid_loss": 1e-5,
    "log_loss": 1e-5,
    "temperature": 1e-4,
    "calibration_slope": 1e-4,
    "predictions": 1e-4,
    "effects": 5e-4,
    # Two windows whose scores differ in the last bits may exchange ranks.
    "aupr": 2e-3,
    "auroc": 1e-3,
}


def load_pipeline() -> ModuleType:
    spec = importlib.util.spec_from_file_location("golden_pipeline", HERE / "pipeline.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> list[dict[str, Any]]:
    """The values of two runs on one thread."""
    pipeline = load_pipeline()
    return [pipeline.run_pipeline(tmp_path_factory.mktemp("golden")) for _ in range(2)]


def test_the_same_run_gives_the_same_bits(runs):
    assert runs[0] == runs[1]


def test_data_equal_the_stored_ones(runs):
    stored = json.loads((HERE / "values.json").read_text())
    assert set(stored) == {*EXACT, *TOLERANCES}
    assert {name: runs[0][name] for name in EXACT} == {name: stored[name] for name in EXACT}


@pytest.mark.parametrize("name", TOLERANCES)
def test_results_equal_the_stored_ones(runs, name: str):
    stored = json.loads((HERE / "values.json").read_text())
    expected = np.asarray(stored[name])
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(runs[0][name], expected, rtol=0, atol=TOLERANCES[name])
