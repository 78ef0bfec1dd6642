"""Models that read segments of several windows."""

from __future__ import annotations

import pytest
import torch

from danq.core import CnnRnn
from danq.core.segments import SegmentCnnRnn
from danq.models import build
from danq.models.architecture import Stage

WINDOW, POOL, BINS = 61, 4, 5


def small(**changes) -> CnnRnn:
    torch.manual_seed(0)
    sizes = {"filters": 6, "width": 6, "pool": POOL, "hidden": 3, "dense": (7, 5)} | changes
    return build("danq-small", tracks=2, window=WINDOW, **sizes).eval()


def random_codes(length: int, rows: int = 3) -> torch.Tensor:
    codes = torch.randint(0, 5, (rows, length), generator=torch.Generator().manual_seed(1))
    return codes.to(torch.uint8)


def single_windows(codes: torch.Tensor, spacing: int) -> torch.Tensor:
    return codes.unfold(1, WINDOW, spacing).flatten(0, 1).contiguous()


@pytest.mark.parametrize("margin", [0, 3])
@pytest.mark.parametrize("stages", [(), (Stage(channels=5, width=3, pool=2),)])
def test_without_a_temporal_layer_the_logits_are_those_of_single_windows(margin, stages):
    module = small(temporal="none", stages=stages)
    steps = 2 if stages else 3
    spacing = steps * POOL * (2 if stages else 1)
    segments = SegmentCnnRnn(module, steps, min(margin, 2) if stages else margin)
    codes = random_codes(WINDOW + spacing * (BINS - 1))
    found = segments(codes)
    assert found.shape == (3, BINS, 2)
    expected = module(single_windows(codes, spacing)).unflatten(0, (3, BINS))
    torch.testing.assert_close(found, expected)


def test_dropout_before_the_dense_layer_is_that_of_single_windows():
    module = small(temporal="none", pooled_dropout=0.5)
    segments = SegmentCnnRnn(module, 3)
    codes = random_codes(WINDOW + 3 * POOL * (BINS - 1))
    expected = module(single_windows(codes, 3 * POOL)).unflatten(0, (3, BINS))
    torch.testing.assert_close(segments(codes), expected)
    assert not torch.equal(segments.train()(codes), segments(codes))


@pytest.mark.parametrize("temporal", ["lstm", "gru", "tcn"])
def test_a_single_window_has_the_logits_of_the_model(temporal):
    module = small(temporal=temporal)
    segments = SegmentCnnRnn(module, 2, margin=4)
    codes = random_codes(WINDOW)
    torch.testing.assert_close(segments(codes), module(codes))


def test_the_temporal_layer_reads_beyond_the_ends_of_a_window():
    module = small()
    segments = SegmentCnnRnn(module, 3)
    codes = random_codes(WINDOW + 3 * POOL * 2)
    changed = codes.clone()
    changed[:, -4:] = 4 - changed[:, -4:]
    first = segments(codes)[:, 0], segments(changed)[:, 0]
    assert not torch.equal(*first)
    torch.testing.assert_close(*first, atol=0.1, rtol=0)


def test_the_model_does_not_read_the_margins():
    module = small(temporal="none")
    codes = random_codes(WINDOW)
    changed = codes.clone()
    changed[:, : 3 * POOL] = 4 - changed[:, : 3 * POOL]
    assert not torch.equal(module(codes), module(changed))
    segments = SegmentCnnRnn(module, 1, margin=3)
    torch.testing.assert_close(module(codes), module(changed))
    optimizer = torch.optim.AdamW(segments.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        segments.train()(random_codes(WINDOW + 4 * POOL)).square().mean().backward()
        optimizer.step()
    weight = module.head.body[0].weight.detach().unflatten(1, (module.pooling.steps, -1))
    outer = torch.cat([weight[:, :3], weight[:, -3:]], dim=1)
    assert torch.equal(outer, torch.zeros_like(outer))
    assert weight[:, 3:-3].count_nonzero() == weight[:, 3:-3].numel()


def test_the_parameters_are_those_of_the_model():
    module = small()
    segments = SegmentCnnRnn(module, 1)
    expected, found = dict(module.named_parameters()), dict(segments.named_parameters())
    assert expected.keys() == found.keys()
    assert all(found[name] is value for name, value in expected.items())


def test_layers_and_lengths_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="the pooling Flatten"):
        SegmentCnnRnn(small(pooling="mean"), 1)
    with pytest.raises(ValueError, match="need a dense layer"):
        SegmentCnnRnn(small(dense=(), pooled_dropout=0.5), 1)
    module = small()
    steps = module.pooling.steps
    with pytest.raises(ValueError, match=f"margins of {steps} of {steps} steps leave no step"):
        SegmentCnnRnn(module, 1, margin=steps)
    segments = SegmentCnnRnn(module, 2)
    for length in (WINDOW + POOL, WINDOW - POOL):
        with pytest.raises(ValueError, match="are no whole number of windows"):
            segments(random_codes(length))
