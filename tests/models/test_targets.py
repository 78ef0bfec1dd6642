"""Groups of targets: their outputs, losses, values, initial outputs and model files."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch.autograd import gradcheck

from danq.core.amount_losses import (
    gaussian_loss,
    multinomial_loss,
    poisson_loss,
    soft_bin_loss,
    total_count_loss,
)
from danq.errors import InputError
from danq.models import (
    Architecture,
    TargetGroup,
    architecture,
    build,
    first_layer,
    load_model,
    save_model,
    set_initial_outputs,
    summary,
    untrained,
)
from danq.models.architecture import _step_positions, build_module
from danq.models.targets import (
    count_outputs,
    initial_outputs,
    profiles,
    target_loss,
    track_values,
)

PEAKS = TargetGroup(loss="binary", tracks=2)
COUNTS = TargetGroup(loss="poisson", tracks=3, weight=2.0, means=(3.0, 0.5, 20.0))
EXPRESSION = TargetGroup(loss="gaussian", tracks=1, means=(0.5,), deviations=(4.0,))
BINNED = TargetGroup(loss="soft-bins", tracks=2, bins=18)
PROFILE = TargetGroup(loss="profile", tracks=2, steps=5, step_bases=8, total_weight=0.5)
GROUPS = (PEAKS, COUNTS, EXPRESSION, BINNED, PROFILE)
SMALL = {"filters": 6, "width": 5, "pool": 4, "hidden": 4, "dense": (5,)}


def measured(seed: int = 0, rows: int = 7) -> torch.Tensor:
    """Targets of all groups in float64, with missing values."""
    rng = np.random.default_rng(seed)
    values = np.concatenate(
        [
            rng.integers(0, 2, (rows, 2)),
            rng.poisson(3, (rows, 3)),
            rng.normal(size=(rows, 1)),
            rng.uniform(0, 17, (rows, 2)),
            rng.poisson(2, (rows, 10)),
        ],
        axis=1,
    ).astype(np.float64)
    values[rng.random(values.shape) < 0.2] = np.nan
    return torch.from_numpy(values)


def outputs(seed: int = 1, rows: int = 7) -> torch.Tensor:
    torch.manual_seed(seed)
    return torch.randn(rows, count_outputs(GROUPS), dtype=torch.float64)


def test_the_loss_is_the_weighted_mean_of_the_groups():
    x, target, rows = outputs(), measured(), torch.rand(7, dtype=torch.float64)
    share = rows.unsqueeze(1)
    mask = ~target.isnan()
    binary = F.binary_cross_entropy_with_logits(
        x[:, :2], target[:, :2].nan_to_num(), (share * mask[:, :2]), reduction="sum"
    ) / (share * mask[:, :2]).sum()  # fmt: skip
    means = torch.tensor([3.0, 0.5, 20.0], dtype=torch.float64)
    poisson = poisson_loss(x[:, 2:5], target[:, 2:5] / means, mask[:, 2:5], share)
    gaussian = gaussian_loss(x[:, 5:6], (target[:, 5:6] - 0.5) / 4, mask[:, 5:6], share)
    centres = torch.arange(18, dtype=torch.float64)
    soft = soft_bin_loss(
        x[:, 6:42].reshape(7, 2, 18), target[:, 6:8], centres, 0.5, mask[:, 6:8], share
    )
    steps, known = target[:, 8:].reshape(7, 2, 5), mask[:, 8:].reshape(7, 2, 5)
    profile = multinomial_loss(x[:, 42:52].reshape(7, 2, 5), steps, known, share)
    profile = profile + 0.5 * total_count_loss(x[:, 52:], steps, known, share)
    wanted = (binary + 2 * poisson + gaussian + soft + profile) / 6
    torch.testing.assert_close(target_loss(x, target, GROUPS, rows), wanted)
    assert count_outputs(GROUPS) == x.shape[1] == 54


def test_gradients_of_the_joint_loss_equal_finite_differences():
    x, target = outputs().requires_grad_(), measured()
    assert gradcheck(lambda values: target_loss(values, target, GROUPS), (x,))


def test_a_group_without_measured_values_has_no_gradient():
    x, target = outputs().requires_grad_(), measured()
    target[:, 2:5] = float("nan")
    target_loss(x, target, GROUPS).backward()
    assert x.grad is not None
    assert not x.grad[:, 2:5].any()
    assert x.grad.isfinite().all()
    assert x.grad[:, :2].any()


def test_values_of_tracks_and_profiles():
    x = outputs()
    values = track_values(x, GROUPS)
    assert values.shape == (7, 10)
    torch.testing.assert_close(values[:, :2], x[:, :2].sigmoid())
    means = torch.tensor([3.0, 0.5, 20.0], dtype=torch.float64)
    torch.testing.assert_close(values[:, 2:5], means * x[:, 2:5].exp())
    torch.testing.assert_close(values[:, 5], 0.5 + 4 * x[:, 5])
    share = x[:, 6:24].softmax(1)
    torch.testing.assert_close(values[:, 6], (share * torch.arange(18)).sum(1))
    torch.testing.assert_close(values[:, 8:], x[:, 52:].exp() - 1)
    (found,) = profiles(x, GROUPS)
    torch.testing.assert_close(found.sum(dim=2), values[:, 8:].clamp(min=0))
    torch.testing.assert_close(found[:, 1], x[:, 47:52].softmax(1) * values[:, 9:10].clamp(min=0))


def test_initial_outputs_predict_the_means():
    target = measured(rows=500).float()
    mean = torch.from_numpy(np.nanmean(target.numpy(), axis=0))
    deviation = torch.from_numpy(np.nanstd(target.numpy(), axis=0))
    module = build_module(architecture("danq-small", **SMALL), 10, 80, GROUPS).eval()
    set_initial_outputs(module, initial_outputs(mean, deviation, GROUPS))
    with torch.no_grad():
        found = track_values(module(torch.zeros(1, 80, dtype=torch.uint8)), GROUPS)[0]
    torch.testing.assert_close(found[:6], mean[:6])
    torch.testing.assert_close(found[6:8], mean[6:8], rtol=0.05, atol=0.2)
    torch.testing.assert_close(found[8:], mean[8:].reshape(2, 5).sum(1))
    with pytest.raises(ValueError, match="53 outputs for a module with 54"):
        set_initial_outputs(module, torch.zeros(53))


@pytest.mark.parametrize("loss", ["gaussian", "poisson"])
@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_losses_and_gradients_do_not_depend_on_the_scale_of_the_amounts(loss, scale):
    def group(scale):
        deviations = (scale, 3 * scale) if loss == "gaussian" else ()
        return (TargetGroup(loss=loss, tracks=2, means=(scale, 2 * scale), deviations=deviations),)

    torch.manual_seed(0)
    x, target = torch.randn(9, 2, dtype=torch.float64), torch.rand(9, 2, dtype=torch.float64)
    plain = target_loss(x, target, group(1.0))
    torch.testing.assert_close(target_loss(x, scale * target, group(scale)), plain)
    torch.testing.assert_close(
        track_values(x, group(scale)), scale * track_values(x, group(1.0))
    )  # fmt: skip


def test_without_targets_the_module_is_that_of_peaks():
    torch.manual_seed(0)
    plain = build("danq-small", tracks=2, window=80, **SMALL)
    torch.manual_seed(0)
    binary = build("danq-small", tracks=2, window=80, targets=(PEAKS,), **SMALL)
    codes = torch.randint(0, 5, (3, 80), dtype=torch.uint8)
    plain.eval(), binary.eval()
    assert torch.equal(plain(codes), binary(codes))
    assert list(plain.state_dict()) == list(binary.state_dict())


@pytest.mark.parametrize("pooling", ["flatten", "mean", "attention"])
@pytest.mark.parametrize(
    ("groups", "tracks"), [((EXPRESSION,), 1), ((BINNED,), 2), ((PROFILE,), 2), (GROUPS, 10)]
)
def test_model_files_hold_target_groups(tmp_path, pooling, groups, tracks):
    torch.manual_seed(0)
    names = tuple(f"t{i}" for i in range(tracks))
    shape = architecture("danq-small", **SMALL, pooling=pooling)
    model = untrained("danq-small", shape, names, 80, 40, groups)
    codes = torch.randint(0, 5, (3, 80), dtype=torch.uint8)
    out = model.module(codes)
    assert out.shape == (3, count_outputs(groups)) == (3, model.module.out_features)
    save_model(tmp_path / "model.safetensors", model.module, model.spec)
    loaded = load_model(tmp_path)
    assert loaded.spec.targets == groups
    assert torch.equal(loaded.module(codes), out)
    assert "OneHotConv" in summary(model)


def test_dream_rnn_has_the_papers_shape(tmp_path):
    soft = (TargetGroup(loss="soft-bins", tracks=1, bins=18),)
    module = build("dream-rnn", tracks=1, window=110, targets=soft)
    first = 160 * (4 * 9 + 1) + 160 * (4 * 15 + 1)
    lstm = 2 * 4 * 320 * (320 + 320 + 2)
    convolutions = 160 * (640 * 9 + 1) + 160 * (640 * 15 + 1)
    parameters = sum(value.numel() for value in module.parameters())
    assert parameters == first + lstm + convolutions + 320 * 18 + 18
    codes = torch.randint(0, 5, (2, 110), dtype=torch.uint8)
    assert module.features(codes).shape == (2, 110, 320)
    assert module(codes).shape == (2, 18)
    assert first_layer(module).width == 15
    model = untrained("dream-rnn", architecture("dream-rnn"), ("e",), 110, 110, soft)
    save_model(tmp_path / "model.safetensors", model.module, model.spec)
    torch.testing.assert_close(load_model(tmp_path).module(codes), model.module(codes))


def test_dream_rnn_equals_its_layers_in_torch():
    """The arithmetic of the published blocks, written out with torch's layers."""
    torch.manual_seed(0)
    soft = (TargetGroup(loss="soft-bins", tracks=1, bins=18),)
    module = build(
        "dream-rnn", tracks=1, window=30, targets=soft, filters=6, hidden=4,
        step_stages=({"channels": 8, "widths": (9, 15), "dropout": 0.2},),
    ).eval()  # fmt: skip
    codes = torch.randint(0, 4, (3, 30))
    x = F.one_hot(codes, 4).float().transpose(1, 2)
    parts = [F.conv1d(x, c.weight, c.bias, padding="same").relu() for c in module.encoder.layers]
    x = module.temporal.layers[0].rnn(torch.cat(parts, 1).transpose(1, 2))[0].transpose(1, 2)
    blocks = module.temporal.layers[1].layers
    x = torch.cat([F.conv1d(x, c.weight, c.bias, padding="same").relu() for c in blocks], 1)
    # A convolution of width 1 and the mean over positions commute.
    output = module.head.output
    x = F.conv1d(x, output.weight.unsqueeze(2), output.bias).mean(dim=2)
    torch.testing.assert_close(module(codes.to(torch.uint8)), x, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "changes",
    [
        {"pool": 1},
        {"pool": 6, "stages": ({"channels": 3, "width": 5, "pool": 2},)},
        {"further_widths": (9,), "pool": 5},
    ],
)
def test_positions_of_steps_are_the_centres_of_the_bases_that_they_read(changes):
    shape = architecture("danq-small", **(SMALL | {"dense": ()} | changes), temporal="none")
    module = build_module(shape, 1, 200).double().eval()
    first, spacing = _step_positions(shape)
    channels = torch.rand(1, 4, 200, dtype=torch.float64, requires_grad=True)
    with torch.no_grad():
        for name, value in module.encoder.named_parameters():
            value.fill_(0.01 if name.endswith("weight") else 1.0)
    steps = module.encoder(channels)
    # Max-pools hide bases, so both ends are taken from many inputs.
    reached = torch.zeros(steps.shape[1], 200, dtype=torch.bool)
    for seed in range(60):
        torch.manual_seed(seed)
        x = torch.rand(1, 4, 200, dtype=torch.float64, requires_grad=True)
        steps = module.encoder(x).sum(dim=2)[0]
        for step in range(3, 6):
            (gradient,) = torch.autograd.grad(steps[step], x, retain_graph=True)
            reached[step] |= gradient.abs().sum(dim=(0, 1)) > 0
    for step in range(3, 6):
        bases = reached[step].nonzero().flatten()
        middle = float(bases[0] + bases[-1]) / 2
        assert middle == pytest.approx(first + step * spacing, abs=0.5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "soft-bins"}, "0 bins for the loss 'soft-bins'"),
        ({"loss": "soft-bins", "bins": 1}, "1 bins"),
        ({"loss": "gaussian", "bins": 5}, "5 bins for the loss 'gaussian'"),
        ({"loss": "profile"}, "0 steps of 0 bases"),
        ({"loss": "profile", "steps": 4}, "4 steps of 0 bases"),
        ({"loss": "poisson", "step_bases": 4}, "0 steps of 4 bases"),
        ({"loss": "poisson", "weight": 0}, "greater than 0"),
        ({"loss": "poisson", "weight": float("inf")}, "finite"),
        ({"loss": "poisson", "lowest": float("nan")}, "finite"),
        ({"loss": "ranking"}, "Input should be"),
        ({"loss": "gaussian", "means": (1.0,)}, "1 means of 2 tracks for the loss 'gaussian'"),
        ({"loss": "gaussian", "means": (1.0, float("nan"))}, "finite"),
        ({"loss": "gaussian", "deviations": (1.0, 0.0)}, "greater than 0"),
        ({"loss": "poisson", "means": (1.0, 0.0)}, "a mean of 0 for the loss 'poisson'"),
        ({"loss": "poisson", "deviations": (1.0, 2.0)}, "2 deviations of 2 tracks"),
        ({"loss": "binary", "means": (1.0, 2.0)}, "2 means of 2 tracks"),
        ({"loss": "poisson", "tracks": 0}, "greater than 0"),
    ],
)
def test_groups_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        TargetGroup(**({"tracks": 2} | changes))


def test_groups_must_be_those_of_the_tracks():
    with pytest.raises(InputError, match="groups of 2 tracks for 3 tracks"):
        build("danq-small", tracks=3, window=80, targets=(PEAKS,), **SMALL)
    with pytest.raises(InputError, match="groups of profiles come before other groups"):
        build("danq-small", tracks=4, window=80, targets=(PROFILE, PEAKS), **SMALL)
    wide = TargetGroup(loss="profile", tracks=1, steps=11, step_bases=8)
    with pytest.raises(InputError, match="11 steps of 8 bases is longer than the window of 80 bp"):
        build("danq-small", tracks=1, window=80, targets=(wide,), **SMALL)
    spec = untrained("danq", Architecture(**SMALL), ("a",), 80, 40, (EXPRESSION,)).spec
    with pytest.raises(ValidationError, match="a temperature for tracks that are not peaks"):
        type(spec).model_validate(spec.model_dump() | {"temperature": 2.0})
    many = TargetGroup(loss="soft-bins", tracks=4_000, bins=5_000)
    with pytest.raises(InputError, match="20,000,000 outputs"):
        build("danq-small", tracks=4_000, window=80, targets=(many,), **SMALL)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"further_widths": (0,)}, "further_widths"),
        ({"filters": 2, "further_widths": (5, 7)}, "2 filters for 3 widths"),
        ({"step_stages": ({"channels": 1, "widths": (3, 5)},)}, "1 channels for 2 widths"),
        ({"step_stages": ({"channels": 4, "widths": ()},)}, "step_stages"),
        ({"step_stages": ({"channels": 4, "widths": (20_000,)},)}, "step_stages"),
    ],
)
def test_widths_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        architecture("danq-small", **changes)
