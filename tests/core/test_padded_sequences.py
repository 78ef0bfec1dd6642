"""Outputs of padded sequences equal those of the sequences alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from danq.core import CnnRnn, PaddedCnnRnn
from danq.models import Architecture, TargetGroup, build_module

WINDOW = 60
BASE = {"filters": 6, "width": 5, "pool": 3, "hidden": 4, "dense": (), "masks_padding": True}
KINDS = {
    "lstm": {"pooling": "mean"},
    "two-layers": {"pooling": "last", "layers": 2},
    "gru": {"temporal": "gru", "pooling": "attention"},
    "tcn": {"temporal": "tcn", "pooling": "max", "tcn_blocks": 2},
    "none": {"temporal": "none", "pooling": "mean"},
    "hard": {"gates": "hard", "pooling": "mean", "unknown": 0.25},
    "stages": {"stages": ({"channels": 7, "width": 3, "pool": 2},), "pooling": "mean"},
    "dream": {
        "further_widths": (8,),
        "pooling": "mean",
        "unknown": 0.25,
        "step_stages": ({"channels": 6, "widths": (3, 4)},),
    },
    "flatten": {"pooling": "flatten"},
}


def made(kind: str, window: int = WINDOW, **changes) -> CnnRnn:
    torch.manual_seed(3)
    groups = (TargetGroup(loss="gaussian", tracks=2),)
    module = build_module(Architecture(**BASE | KINDS[kind] | changes), 2, window, groups)
    for value in module.parameters():
        torch.nn.init.normal_(value, std=0.3)
    return module.eval()


def padded(codes: np.ndarray, before: int, window: int = WINDOW) -> torch.Tensor:
    out = np.full(window, 4, np.uint8)
    out[before : before + len(codes)] = codes
    return torch.from_numpy(out)[None]


def letters(length: int, seed: int) -> np.ndarray:
    codes = np.random.default_rng(seed).integers(0, 5, length).astype(np.uint8)
    codes[[0, -1]] = 1  # N at an end is padding
    return codes


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15, deadline=None)
@given(st.integers(9, WINDOW), st.integers(0, 99), st.data())
def test_outputs_do_not_depend_on_the_padding(kind, length, seed, data):
    module, codes = made(kind), letters(length, seed)
    assert type(module) is PaddedCnnRnn
    before = data.draw(st.integers(0, WINDOW - length))
    with torch.no_grad():
        found = module(padded(codes, before))
        start = module(padded(codes, 0))
        torch.testing.assert_close(found, start, rtol=0, atol=0)
        # Together with other sequences in a batch.
        others = [padded(letters(size, size), 0) for size in (9, 30, WINDOW)]
        together = module(torch.cat([*others, padded(codes, before)]))[-1:]
        torch.testing.assert_close(together, found, rtol=1e-5, atol=1e-6)
        assert (module(others[1]) - module(others[2])).abs().max() > 1e-4


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "flatten"])
@pytest.mark.parametrize("length", [18, 29, 41, WINDOW])
def test_outputs_are_those_of_a_model_without_padding(kind, length):
    module, codes = made(kind), letters(length, 1)
    plain = CnnRnn(module.encoder, module.temporal, module.pooling, module.head).eval()
    with torch.no_grad():
        alone = plain(torch.from_numpy(codes)[None])
        found = module(padded(codes, (WINDOW - length) // 2))
        torch.testing.assert_close(found, alone, rtol=1e-5, atol=1e-6)
        wide = made(kind, 2 * WINDOW)
        wide.load_state_dict(module.state_dict())
        torch.testing.assert_close(wide(padded(codes, 7, 2 * WINDOW)), alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_do_not_depend_on_the_padding(kind):
    module, codes = made(kind), letters(25, 2)
    found = []
    for before in (0, 11, WINDOW - 25):
        module.zero_grad()
        module(padded(codes, before)).sum().backward()
        found.append([value.grad.clone() for value in module.parameters()])
    for grads in found[1:]:
        for one, other in zip(grads, found[0], strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_short_and_unknown_sequences_are_finite(kind):
    module = made(kind)
    for codes in (np.full(WINDOW, 4, np.uint8), np.array([2], np.uint8), np.array([0, 4, 3])):
        with torch.no_grad():
            found = [module(padded(codes.astype(np.uint8), at)) for at in (0, WINDOW - len(codes))]
        assert torch.isfinite(found[0]).all()
        torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)


def test_a_model_without_masks_depends_on_the_padding():
    module, codes = made("lstm", masks_padding=False), letters(25, 2)
    with torch.no_grad():
        assert (module(padded(codes, 0)) - module(padded(codes, 20))).abs().max() > 1e-3


def test_channels_without_a_mask_are_refused():
    module = made("lstm")
    with pytest.raises(ValueError, match=r"an input of shape \(2, 4, 60\) needs a mask"):
        module(torch.zeros(2, 4, WINDOW))


@pytest.mark.parametrize("bidirectional", [True, False])
def test_the_fused_scan_of_training_equals_packed_sequences(bidirectional):
    module = made("lstm", bidirectional=bidirectional)
    rows = torch.cat([padded(letters(size, size), 3) for size in (9, 25, 40)])
    found = []
    for fused in (True, False):
        module.temporal.fused_masks = fused
        module.zero_grad()
        outputs = module(rows)
        outputs.square().sum().backward()
        found.append([outputs.detach(), *(value.grad.clone() for value in module.parameters())])
    assert found[0][0].std() > 0.01
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
