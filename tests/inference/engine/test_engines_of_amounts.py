"""Incremental evaluation and batches of whole windows, for models of amounts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from danq.inference.engine.incremental import Incremental
from danq.inference.engine.whole_windows import WholeWindows
from danq.models import Architecture, TargetGroup, build_module
from danq.models.run_options import RunOptions
from danq.models.targets import track_scores
from tests.inference.engine.test_incremental import EXACT, WINDOW, cases

GROUPS = {
    "peaks": TargetGroup(loss="binary", tracks=2),
    "gaussian": TargetGroup(loss="gaussian", tracks=2),
    "poisson": TargetGroup(loss="poisson", tracks=1),
    "soft-bins": TargetGroup(loss="soft-bins", tracks=2, bins=7, lowest=-2, bin_width=0.5),
    "profile": TargetGroup(loss="profile", tracks=1, steps=6, step_bases=4),
}


def model(names, seed: int, **changes):
    """A model with random weights, and the groups of its tracks."""
    torch.manual_seed(seed)
    groups = tuple(GROUPS[name] for name in sorted(names, key=list(GROUPS).index))
    hyperparameters = {"filters": 9, "width": 7, "pool": 4, "hidden": 5, "dense": (6,)} | changes
    tracks = sum(group.tracks for group in groups)
    module = build_module(Architecture(**hyperparameters), tracks, WINDOW, groups).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.uniform_(-0.5, 0.5)
    return module, groups


def expected(module, groups, codes: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return track_scores(module(torch.from_numpy(codes)), groups).numpy()


@settings(max_examples=40)
@given(
    st.sets(st.sampled_from(sorted(GROUPS)), min_size=1),
    st.sampled_from([{}, {"temporal": "gru"}, {"temporal": "none"}, {"further_widths": (3,)}]),
    st.integers(1, 4),
    st.integers(0, 9),
    st.integers(0, 1000),
)
def test_scores_equal_those_of_whole_windows(names, changes, references, alternates, seed):
    module, groups = model(names, seed, **changes)
    known, other, owner = cases(seed, references, alternates)
    engine = Incremental(module, EXACT, groups)
    assert (engine.reason is None) == ("profile" not in names and "further_widths" not in changes)
    if "profile" in names and "further_widths" not in changes:
        assert engine.reason == "its head (JointHeads) reads every step"
    for found, codes in zip(engine.logits(known, other, owner), (known, other), strict=True):
        own = expected(module, groups, codes) if len(codes) else found[:0]
        assert found.shape == (len(codes), sum(group.tracks for group in groups))
        scale = max(1.0, float(np.abs(own).max(initial=0)))
        np.testing.assert_allclose(found, own, rtol=0, atol=3e-6 * scale)


@pytest.mark.parametrize("names", [("soft-bins",), ("peaks", "poisson", "profile")])
def test_batches_of_whole_windows_give_one_number_per_track(names):
    module, groups = model(names, 3)
    codes = np.random.default_rng(0).integers(0, 5, (150, WINDOW), dtype=np.uint8)
    engine = WholeWindows(module, RunOptions("cpu", "fp32", batch_size=64), groups)
    found = engine.logits(torch.from_numpy(codes)).numpy()
    np.testing.assert_allclose(found, expected(module, groups, codes), rtol=1e-5, atol=1e-6)
