"""Both site rules against a numpy implementation, and filters with known sites."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from danq.core import OneHotConv
from danq.errors import InputError
from danq.interpretation.motifs.filter_sites import (
    RULES,
    WindowBatches,
    find_filter_sites,
    motif_windows,
)

MOTIF = np.array([2, 0, 3, 0, 0, 2, 1, 3], np.uint8)  # GATAAGCT


def whole_number_layer(filters: int, width: int, unknown: float, seed: int) -> OneHotConv:
    """Weights in quarters: float32 sums are exact in every order."""
    rng = np.random.default_rng(seed)
    layer = OneHotConv(filters, width, pool=3, unknown=unknown)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(rng.integers(-4, 5, (filters, 4, width)) / 4))
        layer.bias.copy_(torch.from_numpy(rng.integers(-6, 2, filters) / 4))
    return layer


def every_activation(layer: OneHotConv, codes: np.ndarray) -> np.ndarray:
    """``(B, P, F)`` activations at every position, from the definition of a convolution."""
    channels = np.vstack([np.eye(4), np.full(4, layer.unknown)])
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    views = np.lib.stride_tricks.sliding_window_view(codes, layer.width, axis=1)
    return np.einsum("bpwc,fcw->bpf", channels[views], weight) + bias


def expected_sites(layer: OneHotConv, codes: np.ndarray, rule: str) -> list[list[np.ndarray]]:
    scores = every_activation(layer, codes)
    views = np.lib.stride_tricks.sliding_window_view(codes, layer.width, axis=1)
    out = []
    for f in range(scores.shape[2]):
        one = scores[:, :, f]
        if rule == "argmax":
            positions = [(b, int(one[b].argmax())) for b in range(len(one)) if one[b].max() > 0]
        elif one.max() > 0:
            positions = list(map(tuple, np.argwhere(one > one.max() / 2)))
        else:
            positions = []
        out.append([views[b, p] for b, p in positions])
    return out


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("width", "unknown"), [(5, 0.0), (8, 0.25), (26, 0.0)])
def test_sites_follow_the_definition(rule, width, unknown):
    codes = np.random.default_rng(width).choice(5, (37, 60), p=[0.3, 0.2, 0.2, 0.25, 0.05])
    codes = codes.astype(np.uint8)
    layer = whole_number_layer(9, width, unknown, seed=width)
    found = find_filter_sites(layer, [codes[:20], codes[20:]], rule=rule)
    scores = every_activation(layer, codes)
    expected = expected_sites(layer, codes, rule)
    assert found.sites.tolist() == [len(sites) for sites in expected]
    assert any(len(sites) > 1 for sites in expected)
    for f, sites in enumerate(expected):
        letters = np.array(sites).reshape(-1, width)
        counts = np.stack([(letters == code).sum(axis=0) for code in range(4)], axis=1)
        np.testing.assert_array_equal(found.counts[f], counts)
    np.testing.assert_array_equal(found.maximum, scores.max(axis=(0, 1)).astype(np.float32))
    np.testing.assert_array_equal(found.active, (scores.max(axis=1) > 0).sum(axis=0))
    assert found.sequences == 37


def motif_layer(width: int) -> OneHotConv:
    """Filter 0 is active for GATAAGCT at its positions 2 to 9, filter 1 never."""
    layer = OneHotConv(2, width, pool=4)
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[0, torch.from_numpy(MOTIF).long(), torch.arange(2, 10)] = 1.0
        layer.bias.copy_(torch.tensor([-7.0, -1.0]))
    return layer


@pytest.mark.parametrize("rule", RULES)
def test_a_planted_motif_is_recovered_exactly(rule):
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (200, 80)).astype(np.uint8)
    for row in codes[:150]:
        at = int(rng.integers(10, 60))
        row[at : at + 8] = MOTIF
    found = find_filter_sites(motif_layer(12), [codes], rule=rule)
    assert found.sites[0] >= 150
    assert found.sites[1] == 0
    (motif,) = found.motifs()
    assert motif.name == "filter_0"
    assert motif.nsites == found.sites[0]
    np.testing.assert_array_equal(motif.probabilities[2:10], np.eye(4)[MOTIF])
    assert np.abs(motif.probabilities[[0, 1, 10, 11]] - 0.25).max() < 0.15


def test_a_filter_position_with_unknown_bases_only_is_uniform():
    codes = np.full((1, 20), 4, np.uint8)
    codes[0, 6:14] = MOTIF
    (motif,) = find_filter_sites(motif_layer(12), [codes]).motifs()
    np.testing.assert_array_equal(motif.probabilities[[0, 1, 10, 11]], np.full((4, 4), 0.25))


@pytest.mark.parametrize("rule", RULES)
def test_batch_size_does_not_matter_and_both_strands_are_two_sequences(rule, planted_set):
    layer = whole_number_layer(6, 7, 0.0, seed=1)
    indices = motif_windows(planted_set, "test")
    one = find_filter_sites(layer, WindowBatches(planted_set, indices, "both", 1000), rule=rule)
    many = find_filter_sites(layer, WindowBatches(planted_set, indices, "both", 7), rule=rule)
    np.testing.assert_array_equal(one.counts, many.counts)
    codes = planted_set.codes(indices)
    other = np.where(codes < 4, 3 - codes, 4)[:, ::-1].astype(np.uint8)
    by_hand = find_filter_sites(layer, [codes, np.ascontiguousarray(other)], rule=rule)
    np.testing.assert_array_equal(one.counts, by_hand.counts)
    assert one.sequences == 2 * len(indices)
    forward = find_filter_sites(layer, WindowBatches(planted_set, indices, "forward"), rule=rule)
    assert forward.sequences == len(indices)


def test_windows_are_positive_for_a_track(planted_set):
    labels = planted_set.labels(planted_set.indices("test"))
    indices = planted_set.indices("test")
    np.testing.assert_array_equal(
        motif_windows(planted_set, "test", ["planted"]), indices[labels[:, 0] == 1]
    )
    np.testing.assert_array_equal(motif_windows(planted_set, "test"), indices[labels.any(axis=1)])
    with pytest.raises(InputError, match="the dataset has no track 'Reb1'"):
        motif_windows(planted_set, "test", ["Reb1"])
    with pytest.raises(InputError, match="no split 'tset'"):
        motif_windows(planted_set, "tset")


def test_a_track_without_positives_is_refused(planted_set):
    from dataclasses import replace

    empty = replace(planted_set, packed=np.zeros_like(planted_set.packed))
    with pytest.raises(InputError, match="no window of the valid split is positive for planted"):
        motif_windows(empty, "valid", ["planted"])


def test_invalid_rules_and_short_sequences_are_refused():
    layer = motif_layer(12)
    with pytest.raises(InputError, match=r"the rule is 'max'.*Choose argmax or half-max"):
        find_filter_sites(layer, [np.zeros((2, 30), np.uint8)], rule="max")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"\(2, 11\) are shorter than filters of width 12"):
        find_filter_sites(layer, [np.zeros((2, 11), np.uint8)])
