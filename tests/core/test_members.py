"""Members side by side, against models that are computed one after another."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from danq.core import MeanMax, NormalisedEncoder, OneHotConv, Recurrent, lengths_mask
from danq.core.members import MemberLabels, MemberLayers, per_member
from danq.errors import InputError
from danq.models import TargetGroup, architecture, build, set_initial_outputs
from danq.models.targets import target_loss

SMALL: dict[str, Any] = {"filters": 6, "width": 5, "pool": 3, "hidden": 4, "members": 3}


def test_each_layer_reads_the_features_of_its_member():
    torch.manual_seed(0)
    layers = [Recurrent(5, 3) for _ in range(3)]
    stack, x = MemberLayers(layers).eval(), torch.randn(2, 7, 15)
    mask = lengths_mask(torch.tensor([7, 4]), 7)
    wanted = [layer(x[..., 5 * n : 5 * n + 5], mask) for n, layer in enumerate(layers)]
    assert stack.out_features == 18
    torch.testing.assert_close(stack(x, mask), torch.cat(wanted, dim=2))


def test_the_output_is_the_mean_of_the_members():
    torch.manual_seed(0)
    head = MemberLabels(4, 24, 2, 3)  # means of 3 x 4 features, then their maxima
    x = torch.randn(5, 24)
    own = []
    for n in range(3):
        columns = [part + 4 * n + feature for part in (0, 12) for feature in range(4)]
        weight = head.output.weight[:, columns]
        own.append(nn.functional.linear(x[:, columns], weight, head.output.bias))
    torch.testing.assert_close(head.train()(x), torch.cat(own))
    torch.testing.assert_close(head.eval()(x), torch.stack(own).mean(dim=0))


def test_values_are_repeated_for_each_member():
    outputs, values = torch.zeros(6, 4), torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert torch.equal(per_member(outputs, values), torch.cat([values] * 3))
    assert torch.equal(per_member(outputs, values[:, 0]), torch.cat([values[:, 0]] * 3))
    assert per_member(outputs[:2], values) is values


@pytest.mark.parametrize("temporal", ["lstm", "gru", "tcn", "none"])
@pytest.mark.parametrize("pooling", ["mean-max", "mean", "flatten", "last"])
def test_members_learn_alone(temporal, pooling):
    torch.manual_seed(0)
    module = build("danq-mpra", tracks=2, window=50, temporal=temporal, pooling=pooling, **SMALL)
    nn.init.normal_(module.head.output.weight)
    codes = torch.randint(0, 4, (4, 50), dtype=torch.uint8)
    outputs = module.train()(codes)
    assert outputs.shape == (12, 2)
    outputs[4:8].square().sum().backward()  # those of the second member
    grad = module.encoder.encoder.weight.grad
    assert grad is not None
    assert grad.flatten(1).any(dim=1).nonzero().flatten().tolist() == [3, 4, 5]


@pytest.mark.parametrize("loss", ["gaussian", "poisson", "soft-bins"])
def test_the_loss_is_the_mean_of_those_of_the_members(loss):
    torch.manual_seed(0)
    groups = (TargetGroup(loss=loss, tracks=1, bins=4 if loss == "soft-bins" else 0),)
    module = build("danq-mpra", tracks=1, window=40, targets=groups, **SMALL)
    nn.init.normal_(module.head.output.weight)
    codes = torch.randint(0, 4, (4, 40), dtype=torch.uint8)
    targets, weights = torch.rand(4, 1), torch.rand(4)
    module.head.body = nn.Identity()  # without dropout
    module.encoder_dropout.p = 0.0
    outputs = module.train()(codes)
    found = target_loss(outputs, per_member(outputs, targets), groups, per_member(outputs, weights))
    each = [target_loss(own, targets, groups, weights) for own in outputs.split(4)]
    torch.testing.assert_close(found, torch.stack(each).mean())


def test_initial_outputs_are_those_of_every_member():
    module = build("danq-mpra", tracks=2, window=40, **SMALL)
    wanted = torch.tensor([0.5, -2.0])
    set_initial_outputs(module, wanted)
    codes = torch.randint(0, 4, (4, 40), dtype=torch.uint8)
    for mode, rows in ((True, 12), (False, 4)):
        torch.testing.assert_close(module.train(mode)(codes), wanted.expand(rows, 2))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dense": (5,)}, "3 members exclude dense; members = 1 allows"),
        ({"filters": 8, "further_widths": (7,)}, "3 members exclude further_widths"),
        ({"pooling": "attention"}, "3 members exclude pooling 'attention'"),
        ({"filters": 7}, "7 filters for 1 widths and both strands; each width needs an even"),
    ],
)
def test_blocks_that_would_mix_members_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        architecture("danq-mpra", **{**SMALL, **changes})


def test_members_cannot_learn_profiles():
    groups = (TargetGroup(loss="profile", tracks=1, steps=4, step_bases=5),)
    with pytest.raises(InputError, match="3 members cannot learn profiles"):
        build("danq-mpra", tracks=1, window=40, targets=groups, **SMALL)


def test_mean_and_maximum_by_hand():
    x = torch.tensor([[[1.0, -1.0], [3.0, -5.0], [9.0, 9.0]]])
    mask = torch.tensor([[True, True, False]])
    assert MeanMax(2)(x, mask).tolist() == [[2.0, -3.0, 3.0, -1.0]]


def test_normalised_features_have_mean_0_and_variance_1():
    torch.manual_seed(0)
    encoder = NormalisedEncoder(OneHotConv(6, 5, pool=2))
    out = encoder.train()(torch.randint(0, 4, (20, 41), dtype=torch.uint8))
    assert out.shape == (20, encoder.steps(41), 6)
    torch.testing.assert_close(out.mean(dim=(0, 1)), torch.zeros(6), atol=1e-5, rtol=0)
    encoder.freeze()
    before = encoder.norm.running_mean.clone()
    encoder.train()(torch.randint(0, 4, (20, 41), dtype=torch.uint8))
    assert torch.equal(encoder.norm.running_mean, before)
