from __future__ import annotations

import numpy as np
import pytest
import torch

from danq.core import (
    Classes,
    CnnRnn,
    DensePixel,
    Mean,
    Mlp,
    MultiLabel,
    PerStep,
    Recurrent,
    Vote,
    lengths_mask,
)
from danq.core.heads import JointHeads, Pooled, Profiles

LENGTHS = [7, 3, 1]


def padded() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(3, 7, 5), lengths_mask(torch.tensor(LENGTHS), 7)


@pytest.mark.parametrize("head", [PerStep, Vote])
def test_padding_changes_nothing(head):
    x, mask = padded()
    layer = head(Mlp(5, [6]), 4)
    out = layer(x, mask)
    for row, length in enumerate(LENGTHS):
        alone = layer(x[row : row + 1, :length])[0]
        torch.testing.assert_close(out[row, :length] if head is PerStep else out[row], alone)
    if head is PerStep:
        assert not out[~mask].any()


def test_vote_is_the_mean_probability():
    x, mask = padded()
    vote = Vote(Mlp(5, []), 4)
    steps = vote.output(x).softmax(dim=2)
    wanted = torch.stack([steps[row, :n].mean(dim=0) for row, n in enumerate(LENGTHS)])
    torch.testing.assert_close(vote(x, mask).softmax(dim=1), wanted)
    torch.testing.assert_close(vote(x, mask).exp(), wanted)
    assert vote(x, torch.zeros_like(mask)).isfinite().all()


def test_classes_without_a_hidden_layer_is_one_dense_layer():
    x, _ = padded()
    head = Classes(Mlp(5, []), 4)
    torch.testing.assert_close(head(x[:, 0]), x[:, 0] @ head.output.weight.T + head.output.bias)
    assert head.out_features == 4


def test_dense_pixel_on_images_and_clips():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 5, 4, 6)
    head = DensePixel(5, 2, scale=2)
    out = head(x)
    assert out.shape == (2, 3, 2, 8, 12)
    torch.testing.assert_close(head(x[:, 1]), out[:, 1])
    flat = DensePixel(5, 2)
    weight = flat.output.weight[:, :, 0, 0]
    wanted = torch.einsum("kf,bfhw->bkhw", weight, x[0]) + flat.output.bias[:, None, None]
    torch.testing.assert_close(flat(x[0]), wanted)


def test_model_without_pooling_labels_every_step():
    x, mask = padded()
    model = CnnRnn(torch.nn.Identity(), Recurrent(5, 3), None, PerStep(Mlp(6, []), 4))
    out = model(x, mask)
    assert out.shape == (3, 7, 4)
    assert model.out_features == 4
    assert not out[~mask].any()
    stream = CnnRnn(torch.nn.Identity(), Recurrent(5, 3), None, None)
    assert stream.out_features == 6
    torch.testing.assert_close(model.head.output(model.temporal(x)), model(x))


def test_profiles_are_interpolated_between_steps():
    torch.manual_seed(0)
    x = torch.randn(2, 6, 5)
    head = Profiles(5, 3, 4, first=-1.0, spacing=1.75)
    out = head(x)
    assert out.shape == (2, head.out_features) == (2, 3 * 4 + 3)
    logits = head.output(x).detach().numpy()
    profile = out[:, :12].detach().unflatten(1, (3, 4)).numpy()
    for row, track in np.ndindex(2, 3):
        wanted = np.interp([-1, 0.75, 2.5, 4.25], np.arange(6), logits[row, :, track])
        np.testing.assert_allclose(profile[row, track], wanted, rtol=1e-5, atol=1e-6)
    features = np.array(
        [[np.interp([-1, 0.75, 2.5, 4.25], np.arange(6), one).mean() for one in row.T] for row in x]
    )
    torch.testing.assert_close(out[:, 12:], head.totals(torch.from_numpy(features).float()))


def test_profiles_beyond_the_last_step_repeat_it():
    torch.manual_seed(0)
    x = torch.randn(1, 1, 5)
    out = Profiles(5, 1, 3)(x)[0]
    assert out[0] == out[1] == out[2]


def test_joint_heads_put_outputs_one_after_another():
    x, mask = padded()
    pooled = Pooled(Mean(5), MultiLabel(Mlp(5, []), 3))
    profiles = Profiles(5, 2, 4)
    joint = JointHeads([pooled, profiles])
    out = joint(x, mask)
    assert out.shape == (3, joint.out_features) == (3, 3 + 10)
    torch.testing.assert_close(out[:, :3], pooled(x, mask))
    torch.testing.assert_close(out[:, 3:], profiles(x))
