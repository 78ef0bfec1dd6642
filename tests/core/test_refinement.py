from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from danq.core import ClipRefine, DensePixel, Refine, conv_encoder, refinement_loss


def make(steps: int = 3, scales=None) -> Refine:
    torch.manual_seed(0)
    body = conv_encoder(2, 3 + 4, [6, 5], pool=1, norm=False)
    return Refine(nn.Sequential(body, DensePixel(5, 4)), 4, steps, scales=scales)


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


def test_a_step_at_half_scale_reads_means_of_four_pixels():
    model, x = make(2, (0.5, 1)), torch.randn(2, 3, 8, 6)
    out = model(x)
    half = torch.cat([F.avg_pool2d(x, 2), torch.zeros(2, 4, 4, 3)], dim=1)
    first = F.interpolate(model.network(half), (8, 6), mode="bilinear")
    torch.testing.assert_close(out[:, 0], first)
    second = model.network(torch.cat([x, first.softmax(dim=1)], dim=1))
    torch.testing.assert_close(out[:, 1], second)
    torch.testing.assert_close(make(2, (1, 1))(x), make(2)(x))


@pytest.mark.parametrize("scales", [(1,), (0.5, 0), (1, 1, 1)])
def test_scales_are_as_many_as_steps_and_positive(scales):
    with pytest.raises(ValueError, match="not 2 positive numbers"):
        make(2, scales)


def test_a_frame_starts_with_the_labels_of_the_frame_before():
    refine, x = make(2), torch.randn(2, 3, 3, 8, 8)
    out = ClipRefine(refine)(x)
    labels = None
    for frame in range(3):
        expected = refine(x[:, frame], labels=labels)
        torch.testing.assert_close(out[:, frame], expected)
        labels = expected[:, -1].softmax(dim=1)
    alone = ClipRefine(refine, recurrent=False)(x)
    torch.testing.assert_close(alone[:, 2], refine(x[:, 2]))


def test_padded_frames_change_no_real_frame():
    model, x = ClipRefine(make(2)), torch.randn(2, 4, 3, 8, 8)
    mask = torch.tensor([[True, False, True, True], [True] * 4])
    out = model(x, mask)
    torch.testing.assert_close(out[0, [0, 2, 3]], model(x[:1, [0, 2, 3]])[0])
    assert (out[0, 1] == 0).all()
