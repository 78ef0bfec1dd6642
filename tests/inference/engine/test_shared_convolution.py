"""Predictions of overlapping windows, whose first convolution is shared, equal those of copies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from danq.core import BothStrandsConv, OneHotConv
from danq.core import _one_hot_conv_kernels as kernels
from danq.genome.nucleotide_codes import reverse_complement
from danq.genome.packed_genome import PackedGenome
from danq.inference.engine import overlapping_windows
from danq.inference.engine.forward import predict_blocks, predict_dataset
from danq.inference.engine.genome_windows import GenomeWindows
from danq.inference.engine.overlapping_windows import OverlappingWindows
from danq.inference.engine.shared_convolution import SharedConvolution, shares_convolution
from danq.models import RunOptions, build
from tests.bfloat16 import needs_bf16
from tests.small_dataset import small_dataset

WINDOW = 300
SMALL = {"filters": 40, "hidden": 4, "dense": (5,)}
MODELS = {
    "danq-small": SMALL,
    "danq-jaspar": {**SMALL, "filters": 1024},
    "danq": SMALL,
    "deepsea": {"filters": 32, "dense": (5,)},
    "danq-mpra": {"filters": 32, "hidden": 4},
    "dream-rnn": {"filters": 16, "hidden": 4},
}
FP32 = RunOptions("cpu", "fp32")


def some_windows(step: int, count: int = 13, seed: int = 0) -> OverlappingWindows:
    """Windows of two segments, one in any order; N runs, one of a whole window, and ends of N."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 5, (count - 1) * step + WINDOW, dtype=np.uint8)
    codes[:50] = codes[-50:] = 4
    middle = len(codes) // 2
    codes[middle : middle + WINDOW + step] = 4
    first = np.arange(count) * step
    other = OverlappingWindows(codes[::-1].copy(), rng.permutation(first), WINDOW)
    return OverlappingWindows.joined([OverlappingWindows(codes, first, WINDOW), other])


def predicted(module, windows, **options):
    (found,) = predict_blocks(module, [windows], replace(FP32, **options))
    return found.copy()


@needs_bf16
@pytest.mark.parametrize("preset", MODELS)
def test_values_equal_those_of_windows_that_are_cut(preset, monkeypatch):
    torch.manual_seed(0)
    module = build(preset, tracks=3, window=WINDOW, **MODELS[preset])
    torch.nn.init.normal_(next(module.encoder.parameters()))
    calls = []
    run = SharedConvolution.__call__
    monkeypatch.setattr(SharedConvolution, "__call__", lambda *args: calls.append(1) or run(*args))
    for step in (1, 13, 100, WINDOW, 2 * WINDOW):
        windows = some_windows(step)
        for options in ({}, {"strand": "forward"}, {"precision": "bf16"}):
            found = predicted(module, windows, **options)
            np.testing.assert_array_equal(found, predicted(module, windows.cut(), **options))
            assert len(np.unique(found)) > 3
    assert bool(calls) == (preset != "dream-rnn") == shares_convolution(module)


@settings(max_examples=60, deadline=None)
@given(
    filters=st.integers(1, 70),
    width=st.integers(1, 27),
    pool=st.integers(1, 40),
    activation=st.sampled_from(["relu", "identity"]),
    unknown=st.sampled_from([0.0, 0.25]),
    extra=st.integers(0, 60),
    starts=st.lists(st.integers(0, 3000), min_size=1, max_size=40),
    seed=st.integers(0, 2**31),
)
def test_pooled_activations_equal_those_of_each_window(
    filters, width, pool, activation, unknown, extra, starts, seed
):
    torch.manual_seed(seed)
    layer = OneHotConv(filters, width, pool=pool, activation=activation, unknown=unknown)
    torch.nn.init.normal_(layer.weight)
    rng, window = np.random.default_rng(seed), width + pool - 1 + extra
    codes = rng.integers(0, 5, max(starts) + window, dtype=np.uint8)
    windows = OverlappingWindows(codes, np.array(starts), window)
    with torch.no_grad():
        expected = layer(torch.from_numpy(windows.cut()))
    found = layer.overlapping(windows.codes, windows.first, window)
    assert found.is_contiguous()
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_filters_of_both_strands_and_weights_that_are_not_finite():
    layer = BothStrandsConv(6, 5, pool=3)
    with torch.no_grad():
        layer.weight[1, 2, 3] = torch.nan
        windows = some_windows(7)
        expected = layer(torch.from_numpy(windows.cut()))
    found = layer.overlapping(windows.codes, windows.first, WINDOW)
    assert torch.equal(found.isnan().all(0).all(0), torch.tensor([0, 1, 0, 0, 1, 0]).bool())
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)


def test_memory_does_not_grow_with_the_sequence():
    # A thread holds the scores of one span: half a million positions are many spans of one size.
    spans = kernels.spans(np.arange(0, 500_000, 100), 975)
    assert (spans.last - spans.first).max() == kernels.SPAN
    assert (spans.end >= spans.last).all()
    # Each pool begins in one span.
    assert spans.first[0] == 0
    assert spans.last[-1] == 499_900 + 975
    np.testing.assert_array_equal(spans.first[1:], spans.last[:-1])


def test_positions_between_distant_windows_are_not_computed():
    spans = kernels.spans(np.array([0, 50, 1_000_000]), 100)
    assert spans.first.tolist() == [0, 1_000_000]
    assert spans.last.tolist() == [150, 1_000_100]
    assert list(zip(spans.low, spans.high, strict=True)) == [(0, 2), (2, 3)]


def test_distant_windows_are_cut():
    near, far = some_windows(100), some_windows(240)
    assert near.cut_if_distant() is near
    assert isinstance(far.cut_if_distant(), np.ndarray)


@settings(max_examples=30)
@given(seed=st.integers(0, 1000), step=st.integers(1, 400), low=st.integers(0, 25))
def test_windows_of_segments(seed, step, low):
    windows = some_windows(step, seed=seed)
    codes = windows.cut()
    assert windows.unknown() == (codes == 4).all(1).sum()
    np.testing.assert_array_equal(windows.reverse_complement().cut(), reverse_complement(codes))
    some = windows.rows(slice(low, low + 5))
    np.testing.assert_array_equal(some.cut(), codes[low : low + 5])
    assert len(some.codes) <= len(windows.codes)


def test_hooks_of_the_first_layers_get_windows():
    module = build("danq-small", tracks=3, window=WINDOW, **SMALL)
    seen = []
    module.encoder.register_forward_hook(lambda _, args, __: seen.append(args[0].shape))
    windows = some_windows(100)
    assert not shares_convolution(module)
    predicted(module, windows, strand="forward")
    assert seen == [(len(windows), WINDOW)]


@settings(max_examples=40)
@given(
    starts=st.lists(st.tuples(st.integers(0, 1), st.integers(-40, 500)), min_size=1, max_size=30),
    window=st.integers(1, 60),
)
def test_windows_of_a_packed_genome(starts, window):
    rng = np.random.default_rng(0)
    contigs = [(name, rng.integers(0, 5, 300, dtype=np.uint8)) for name in ("a", "b")]
    genome = PackedGenome.from_contigs(contigs)
    contig, first = (np.array(part, np.int64) for part in zip(*starts, strict=True))
    windows = GenomeWindows(genome, torch.device("cpu"), window, 100)
    expected = genome.windows(contig, first, window)
    found = windows.load(windows.read(contig, first))
    if isinstance(found, OverlappingWindows):
        assert len(found.codes) < 0.75 * expected.size
        found = found.cut()
    np.testing.assert_array_equal(found, expected)


def test_datasets_share_convolutions(monkeypatch):
    dataset = small_dataset(90, 1840)
    module = build("danq-small", tracks=len(dataset.tracks), window=dataset.window, **SMALL)
    rows, shared = np.random.default_rng(0).permutation(90)[:80], []
    run = SharedConvolution.__call__
    monkeypatch.setattr(
        SharedConvolution, "__call__", lambda *args: shared.append(len(args[1])) or run(*args)
    )
    found = predict_dataset(module, dataset, rows, FP32)
    assert shared == [80, 80]
    monkeypatch.setattr(overlapping_windows, "LARGEST_SHARE", 0)
    np.testing.assert_array_equal(predict_dataset(module, dataset, rows, FP32), found)
    assert len(shared) == 2


def test_windows_shorter_than_a_filter_and_a_pool():
    layer = OneHotConv(3, 5, pool=4)
    with pytest.raises(ValueError, match="input of 7 symbols is shorter"):
        layer.overlapping(np.zeros(20, np.uint8), np.array([0, 3]), 7)
