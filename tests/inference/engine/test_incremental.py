"""Incremental logits against logits of whole windows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from danq.core import CnnRnn
from danq.inference.engine import split_model
from danq.inference.engine.incremental import Incremental
from danq.inference.engine.pass_planning import Alternates, PassLimits, plan_passes
from danq.inference.engine.recurrent_scan import RecurrentDirection
from danq.inference.engine.split_model import why_not_incremental
from danq.models.architecture import Architecture, Stage, build_module
from danq.models.run_options import RunOptions
from tests.bfloat16 import needs_bf16

WINDOW = 160
TRACKS = 3
EXACT = RunOptions("cpu", "fp32", tolerance=0)

HYPERPARAMETERS = st.fixed_dictionaries(
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


def model(seed: int = 0, window: int = WINDOW, **hyperparameters: object) -> CnnRnn:
    torch.manual_seed(seed)
    values = {"filters": 11, "width": 9, "pool": 5, "hidden": 8, "dense": (7,), **hyperparameters}
    module = build_module(Architecture(**values), TRACKS, window).eval()  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.uniform_(-0.5, 0.5)
    return module


def whole_windows(module: nn.Module, codes: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return module(torch.from_numpy(codes)).numpy()


def cases(seed: int, references: int, alternates: int) -> tuple[np.ndarray, ...]:
    """References, and alternates that differ in no base, one, a few, a suffix or a prefix."""
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


@settings(max_examples=40)
@given(HYPERPARAMETERS, st.integers(1, 5), st.integers(0, 12), st.integers(0, 1000))
def test_logits_equal_those_of_whole_windows(hyperparameters, references, alternates, seed):
    module = model(seed, **hyperparameters)
    known, other, owner = cases(seed, references, alternates)
    engine = Incremental(module, EXACT)
    assert engine.reason is None
    found = engine.logits(known, other, owner)
    for values, codes in zip(found, (known, other), strict=True):
        expected = whole_windows(module, codes) if len(codes) else np.empty((0, TRACKS), np.float32)
        assert values.shape == expected.shape
        scale = max(1.0, float(np.abs(expected).max(initial=0)))
        np.testing.assert_allclose(values, expected, rtol=0, atol=3e-6 * scale)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_all_substitutions_of_a_window(kind):
    module = model(temporal=kind)
    codes = np.random.default_rng(1).integers(0, 4, (1, WINDOW), dtype=np.uint8)
    position, shift = np.repeat(np.arange(WINDOW), 3), np.tile([1, 2, 3], WINDOW)
    other = np.repeat(codes, 3 * WINDOW, axis=0)
    other[np.arange(len(other)), position] = (other[np.arange(len(other)), position] + shift) % 4
    engine = Incremental(module, EXACT)
    _, found = engine.logits(codes, other, np.zeros(len(other), np.int64))
    # Both add the same products in float32, in different orders, and the order in a product of
    # matrices depends on the processor: they differ by up to 1.1e-6 on one, by 2.1e-6 on another.
    np.testing.assert_allclose(found, whole_windows(module, other), rtol=0, atol=4e-6)


@pytest.mark.parametrize("bidirectional", [True, False])
def test_torch_operators_and_the_kernels_agree(monkeypatch, bidirectional):
    # 20 units do not fill the vectors of a kernel; 120 rows are several groups of a thread.
    module = model(hidden=20, bidirectional=bidirectional)
    known, other, owner = cases(3, 4, 120)
    by_rows = Incremental(module, EXACT)
    one = by_rows.logits(known, other, owner)
    assert by_rows._split is not None
    assert by_rows._split.lstm
    monkeypatch.setattr(split_model, "runs_by_rows", lambda *_: False)
    setup = RecurrentDirection.__init__

    def unfused(self, *given):
        setup(self, *given)
        self.fused = False

    for fused in (True, False):
        if not fused:
            monkeypatch.setattr(RecurrentDirection, "__init__", unfused)
        for tolerance in (0.0, 1e-6):
            engine = Incremental(module, replace(EXACT, tolerance=tolerance))
            assert engine._split is not None
            assert not engine._split.lstm
            for left, right in zip(one, engine.logits(known, other, owner), strict=True):
                np.testing.assert_allclose(left, right, rtol=0, atol=1e-5)


@needs_bf16
def test_bfloat16_effects_are_within_rounding():
    module = model(hidden=32, filters=32, dense=(16,))
    known, other, owner = cases(5, 6, 60)
    engine = Incremental(module, replace(EXACT, precision="bf16"))
    reference, alternate = engine.logits(known, other, owner)
    expected = whole_windows(module, other) - whole_windows(module, known)[owner]
    assert np.abs(expected).max() > 0.5
    assert np.abs(alternate - reference[owner] - expected).max() < 0.03 * np.abs(expected).max()


def test_small_passes_change_only_rounding(monkeypatch):
    module = model()
    known, other, owner = cases(7, 9, 50)
    expected = Incremental(module, EXACT)
    monkeypatch.setattr("danq.inference.engine.pass_planning.PASS_VALUES", 32 * 100)
    small = Incremental(module, EXACT)
    assert small._split is not None
    assert len(list(plan_passes(9, one_step(owner), 32, small._split.limits, 2))) > 2
    found = small.logits(known, other, owner)
    for left, right in zip(expected.logits(known, other, owner), found, strict=True):
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


def test_bits_do_not_depend_on_the_order_of_passes(monkeypatch):
    known, _, _ = cases(2, 1, 1)
    other = np.repeat(known, 60, axis=0)
    position = np.arange(60)
    other[position, position] = (other[position, position] + 1) % 4
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


def test_one_track_without_hidden_layers():
    torch.manual_seed(0)
    hyperparameters = {"filters": 4, "width": 9, "pool": 5, "temporal": "none", "dense": ()}
    module = build_module(Architecture(**hyperparameters), 1, WINDOW).eval()  # type: ignore[arg-type]
    known, other, owner = cases(3, 2, 9)
    engine = Incremental(module, EXACT)
    found = engine.logits(known, other, owner)
    for values, codes in zip(found, (known, other), strict=True):
        np.testing.assert_allclose(values, whole_windows(module, codes), rtol=0, atol=3e-6)


def test_an_alternate_equal_to_its_reference_has_the_same_bits():
    module = model()
    known, _, _ = cases(2, 5, 1)
    engine = Incremental(module, EXACT)
    one, other = engine.logits(known, known[[4, 0]], np.array([4, 0]))
    np.testing.assert_array_equal(other, one[[4, 0]])


def test_a_larger_tolerance_gives_a_larger_error():
    module = model(window=WINDOW, hidden=16)
    known, other, owner = cases(11, 4, 200)
    expected = whole_windows(module, other)
    errors = []
    for tolerance in (0.0, 1e-6, 1e-2):
        engine = Incremental(module, replace(EXACT, tolerance=tolerance))
        errors.append(np.abs(engine.logits(known, other, owner)[1] - expected).max())
    assert errors[0] < 3e-6
    assert errors[1] < 2e-5
    assert errors[1] < errors[2] < 1


@pytest.mark.parametrize(
    ("hyperparameters", "words"),
    [
        ({"layers": 2}, "stacked"),
        ({"pooling": "mean"}, "pooling is Mean"),
        ({"pooling": "attention", "temporal": "gru"}, "pooling is AttentionPool"),
    ],
)
def test_other_models_are_evaluated_window_by_window_with_a_reason(hyperparameters, words):
    module = model(**hyperparameters)
    known, other, owner = cases(4, 3, 20)
    engine = Incremental(module, RunOptions("cpu", "fp32"))
    assert engine.reason is not None
    assert words in engine.reason
    one, two = engine.logits(known, other, owner)
    np.testing.assert_allclose(one, whole_windows(module, known), atol=1e-6)
    np.testing.assert_allclose(two, whole_windows(module, other), atol=1e-6)


def test_the_reason_names_an_unknown_module():
    assert why_not_incremental(nn.Linear(2, 3)) == "Linear is not a CnnRnn"


def test_the_module_does_not_change():
    module = model().train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    Incremental(module, RunOptions("cpu")).logits(*cases(1, 1, 2))
    assert module.training
    assert all(p.requires_grad for p in module.parameters())
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name])
