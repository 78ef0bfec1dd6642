"""Incremental logits against every window evaluated by itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from danq.core import CnnRnn
from danq.inference.engine.incremental import Incremental
from danq.inference.engine.pass_planning import Alternates, PassLimits, plan_passes
from danq.inference.engine.recurrent_scan import RecurrentDirection
from danq.inference.engine.split_model import why_not_incremental
from danq.models.architecture import Architecture, Stage, build_module
from danq.models.run_options import RunOptions

WINDOW = 160
TRACKS = 3
EXACT = RunOptions("cpu", "fp32", tolerance=0)

RNN = st.fixed_dictionaries(
    {
        "temporal": st.sampled_from(["lstm", "gru", "none"]),
        "bidirectional": st.booleans(),
        "hidden": st.integers(1, 9),
        "filters": st.integers(1, 20),
        "width": st.integers(1, 12),
        "pool": st.integers(1, 7),
        "dense": st.sampled_from([(), (7,), (5, 4)]),
        "stages": st.sampled_from(
            [(), (Stage(channels=6, width=3, pool=2), Stage(channels=5, width=2))]
        ),
        "unknown": st.sampled_from([0.0, 0.25]),
    }
)


def model(seed: int = 0, window: int = WINDOW, **numbers: object) -> CnnRnn:
    torch.manual_seed(seed)
    settled = {"filters": 11, "width": 9, "pool": 5, "hidden": 8, "dense": (7,), **numbers}
    module = build_module(Architecture(**settled), TRACKS, window).eval()  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.uniform_(-0.5, 0.5)
    return module


def plain(module: nn.Module, codes: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return module(torch.from_numpy(codes)).numpy()


def cases(seed: int, references: int, alternates: int) -> tuple[np.ndarray, ...]:
    """References and alternates: equal, one base, a few bases, everything to the right, all."""
    rng = np.random.default_rng(seed)
    known = rng.integers(0, 5, (references, WINDOW), dtype=np.uint8)
    owner = rng.integers(0, references, alternates)
    other = known[owner].copy()
    for row in other:
        begin, end = np.sort(rng.integers(0, WINDOW + 1, 2))
        kind = rng.integers(0, 5)
        if kind == 1:
            row[begin % WINDOW] = rng.integers(0, 5)
        elif kind == 2:
            row[begin : begin + 4] = rng.integers(0, 5, len(row[begin : begin + 4]))
        elif kind == 3:
            row[begin:] = rng.integers(0, 5, WINDOW - begin)
        elif kind == 4:
            row[:end] = rng.integers(0, 5, end)
    return known, other, owner


def one_step(owner: np.ndarray) -> Alternates:
    """Alternates that differ from their references in one step."""
    step = np.zeros(len(owner), np.int64)
    return Alternates(np.empty((len(owner), 0), np.uint8), owner, step, step)


@settings(max_examples=40, deadline=None)
@given(RNN, st.integers(1, 5), st.integers(0, 12), st.integers(0, 1000))
def test_logits_are_those_of_every_window_by_itself(numbers, references, alternates, seed):
    module = model(seed, **numbers)
    known, other, owner = cases(seed, references, alternates)
    engine = Incremental(module, EXACT)
    assert engine.reason is None
    got = engine.logits(known, other, owner)
    for values, codes in zip(got, (known, other), strict=True):
        want = plain(module, codes) if len(codes) else np.empty((0, TRACKS), np.float32)
        assert values.shape == want.shape
        scale = max(1.0, float(np.abs(want).max(initial=0)))
        np.testing.assert_allclose(values, want, rtol=0, atol=3e-6 * scale)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_every_single_base_change_of_a_window(kind):
    module = model(temporal=kind)
    codes = np.random.default_rng(1).integers(0, 4, (1, WINDOW), dtype=np.uint8)
    place, shift = np.repeat(np.arange(WINDOW), 3), np.tile([1, 2, 3], WINDOW)
    other = np.repeat(codes, 3 * WINDOW, axis=0)
    other[np.arange(len(other)), place] = (other[np.arange(len(other)), place] + shift) % 4
    engine = Incremental(module, EXACT)
    _, got = engine.logits(codes, other, np.zeros(len(other), np.int64))
    np.testing.assert_allclose(got, plain(module, other), rtol=0, atol=2e-6)


def test_torch_operators_and_the_kernel_agree(monkeypatch):
    module = model()
    known, other, owner = cases(3, 4, 30)
    fused = Incremental(module, EXACT)
    one = fused.logits(known, other, owner)
    setup = RecurrentDirection.__init__

    def unfused(self, *given):
        setup(self, *given)
        self.fused = False

    monkeypatch.setattr(RecurrentDirection, "__init__", unfused)
    for tolerance in (0.0, 1e-6):
        engine = Incremental(module, replace(EXACT, tolerance=tolerance))
        for left, right in zip(one, engine.logits(known, other, owner), strict=True):
            np.testing.assert_allclose(left, right, rtol=0, atol=5e-6)


def test_bfloat16_effects_are_within_its_rounding():
    module = model(hidden=32, filters=32, dense=(16,))
    known, other, owner = cases(5, 6, 60)
    engine = Incremental(module, replace(EXACT, precision="bf16"))
    reference, alternate = engine.logits(known, other, owner)
    want = plain(module, other) - plain(module, known)[owner]
    assert np.abs(want).max() > 0.5
    assert np.abs(alternate - reference[owner] - want).max() < 0.03 * np.abs(want).max()


def test_small_passes_change_nothing_but_rounding(monkeypatch):
    module = model()
    known, other, owner = cases(7, 9, 50)
    want = Incremental(module, EXACT)
    monkeypatch.setattr("danq.inference.engine.pass_planning.PASS_VALUES", 32 * 100)
    small = Incremental(module, EXACT)
    assert small._split is not None
    assert len(list(plan_passes(9, one_step(owner), 32, small._split.limits, 2))) > 2
    got = small.logits(known, other, owner)
    for left, right in zip(want.logits(known, other, owner), got, strict=True):
        np.testing.assert_allclose(left, right, rtol=0, atol=2e-6)


def test_passes_hold_every_alternate_once_and_none_is_too_large():
    # One reference with many more alternates than fit into a pass, between some with few.
    owner = np.random.default_rng(1).permutation(
        np.repeat(np.arange(9), [1, 2, 3, 95, 1, 0, 2, 4, 6])
    )
    limits = PassLimits(windows=10, steps=10_000)
    passes = list(plan_passes(9, one_step(owner), 32, limits, 2))
    assert sorted(np.concatenate([some.alternates for some in passes])) == list(range(len(owner)))
    for references, alternates in passes:
        assert set(owner[alternates]) <= set(range(references.start, references.stop))
        assert references.stop - references.start + len(alternates) <= 20
    starts = {references.start for references, _ in passes}
    assert starts | {references.stop for references, _ in passes} == starts | {9}


def test_bits_do_not_depend_on_which_pass_is_done_first(monkeypatch):
    known, _, _ = cases(2, 1, 1)
    other = np.repeat(known, 60, axis=0)
    place = np.arange(60)
    other[place, place] = (other[place, place] + 1) % 4
    engine = Incremental(model(), EXACT)
    assert engine._split is not None
    monkeypatch.setattr(engine._split, "limits", engine._split.limits._replace(windows=7))
    run = engine._run_pass
    # Rounding depends on the windows of a pass; here the difference is large.
    monkeypatch.setattr(
        engine, "_run_pass", lambda *given: tuple(x + given[2].codes[0, :1] for x in run(*given))
    )
    found = []
    for step in (1, -1):
        monkeypatch.setattr(
            "danq.inference.engine.incremental.map_in_threads",
            lambda work, items, step=step: [work(item) for item in items[::step]][::step],
        )
        found.append(engine.logits(known, other, np.zeros(60, np.int64)))
    for one, two in zip(*found, strict=True):
        np.testing.assert_array_equal(one, two)


def test_one_track_without_any_layer_between():
    torch.manual_seed(0)
    numbers = {"filters": 4, "width": 9, "pool": 5, "temporal": "none", "dense": ()}
    module = build_module(Architecture(**numbers), 1, WINDOW).eval()  # type: ignore[arg-type]
    known, other, owner = cases(3, 2, 9)
    engine = Incremental(module, EXACT)
    got = engine.logits(known, other, owner)
    for values, codes in zip(got, (known, other), strict=True):
        np.testing.assert_allclose(values, plain(module, codes), rtol=0, atol=3e-6)


def test_an_alternate_equal_to_its_reference_has_its_bits():
    module = model()
    known, _, _ = cases(2, 5, 1)
    engine = Incremental(module, EXACT)
    one, other = engine.logits(known, known[[4, 0]], np.array([4, 0]))
    np.testing.assert_array_equal(other, one[[4, 0]])


def test_a_tolerance_bounds_the_states_that_are_let_go():
    module = model(window=WINDOW, hidden=16)
    known, other, owner = cases(11, 4, 200)
    want = plain(module, other)
    errors = []
    for tolerance in (0.0, 1e-6, 1e-2):
        engine = Incremental(module, replace(EXACT, tolerance=tolerance))
        errors.append(np.abs(engine.logits(known, other, owner)[1] - want).max())
    assert errors[0] < 3e-6
    assert errors[1] < 2e-5
    assert errors[1] < errors[2] < 1


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({"layers": 2}, "stacked"),
        ({"pooling": "mean"}, "pooling is Mean"),
        ({"pooling": "attention", "temporal": "gru"}, "pooling is AttentionPool"),
    ],
)
def test_a_model_that_does_not_fit_is_evaluated_plainly_and_says_why(numbers, words):
    module = model(**numbers)
    known, other, owner = cases(4, 3, 20)
    engine = Incremental(module, RunOptions("cpu", "fp32"))
    assert engine.reason is not None
    assert words in engine.reason
    one, two = engine.logits(known, other, owner)
    np.testing.assert_allclose(one, plain(module, known), atol=1e-6)
    np.testing.assert_allclose(two, plain(module, other), atol=1e-6)


def test_a_foreign_module_is_named():
    assert why_not_incremental(nn.Linear(2, 3)) == "Linear is not a CnnRnn"


def test_the_module_stays_as_it_was():
    module = model().train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    Incremental(module, RunOptions("cpu")).logits(*cases(1, 1, 2))
    assert module.training
    assert all(p.requires_grad for p in module.parameters())
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name])
