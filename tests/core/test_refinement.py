from __future__ import annotations

import pytest
import torch
from torch import nn

from danq.core import DensePixel, Refine, conv_encoder, refinement_loss


def make(steps: int = 3) -> Refine:
    torch.manual_seed(0)
    body = conv_encoder(2, 3 + 4, [6, 5], pool=1, norm=False)
    return Refine(nn.Sequential(body, DensePixel(5, 4)), 4, steps)


def test_each_step_reads_the_image_and_the_previous_output():
    model, x = make(), torch.randn(2, 3, 8, 9)
    out = model(x)
    assert out.shape == (2, 3, 4, 8, 9)
    labels = torch.zeros(2, 4, 8, 9)
    for step in range(3):
        logits = model.network(torch.cat([x, labels], dim=1))
        torch.testing.assert_close(out[:, step], logits)
        labels = logits.softmax(dim=1)
    torch.testing.assert_close(model(x, steps=1), out[:, :1])


def test_steps_share_parameters_and_gradients():
    model, x = make(), torch.randn(1, 3, 6, 6)
    sizes = [sum(p.numel() for p in make(steps).parameters()) for steps in (1, 2, 3)]
    assert len(set(sizes)) == 1
    model(x)[:, 2].sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_loss_is_the_mean_over_steps_and_counted_pixels():
    logits = torch.randn(2, 3, 4, 5, 6)
    target = torch.randint(0, 4, (2, 5, 6))
    target[0, 0] = -1
    kept = target >= 0
    logs = logits.log_softmax(dim=2)
    wanted = -torch.stack(
        [logs[:, s].permute(0, 2, 3, 1)[kept][torch.arange(54), target[kept]] for s in range(3)]
    ).mean()
    torch.testing.assert_close(refinement_loss(logits, target, ignore=-1), wanted)


def test_a_network_that_shrinks_is_refused():
    with pytest.raises(ValueError, match=r"maps of shape \(1, 4, 4, 4\), not \(1, 4, 8, 8\)"):
        Refine(conv_encoder(2, 7, [4]), 4, 2)(torch.zeros(1, 3, 8, 8))
