"""Attributions equal formulas that are applied to other functions, and to torch's autograd."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import danq
from danq.genome.dinucleotide_shuffle import dinucleotide_shuffles
from danq.inference.ensemble import Ensemble
from danq.inference.mutagenesis.targets import Target, TargetWindow
from danq.interpretation.attribution.gradient_scorer import GradientScorer
from danq.interpretation.attribution.methods import METHODS, Integration
from danq.models import Model
from danq.models.targets import TargetGroup

WINDOW = 60
RNG = np.random.default_rng(5)
TEXT = "".join(RNG.choice(list("ACGT"), 150))
AMOUNTS = (TargetGroup(loss="gaussian", tracks=2, means=(1.0, 2.0), deviations=(2.0, 3.0)),)


def codes_of(text: str) -> np.ndarray:
    return np.array(["ACGTN".index(letter) for letter in text], np.uint8)


def one_hot(codes: np.ndarray, unknown: float = 0.0) -> torch.Tensor:
    """``(4, L)`` channels in float64."""
    return torch.tensor(np.vstack([np.eye(4), np.full(4, unknown)])[codes].T)


def window_of(codes: np.ndarray) -> TargetWindow:
    target = Target("a", 0, len(codes), len(codes), lambda low, high: codes[low:high])
    return TargetWindow(target, codes, 0, 0, len(codes))


def doubled(model: Model) -> Model:
    return replace(model, module=copy.deepcopy(model.module).double())


def bits(model: Model, channels: torch.Tensor) -> torch.Tensor:
    """Log2 odds on one strand, written with torch's functions only."""
    module = model.module
    layer = module.encoder
    y = F.relu(F.conv1d(channels, layer.weight, layer.bias))
    y = F.max_pool1d(y, layer.pool).transpose(1, 2)
    y = module.temporal.rnn(y)[0].flatten(1)
    dense = module.head.body[0]
    y = F.relu(F.linear(y, dense.weight, dense.bias))
    y = F.linear(y, module.head.output.weight, module.head.output.bias)
    return y / math.log(2)


def mean_bits(model: Model, channels: torch.Tensor) -> torch.Tensor:
    """Log2 odds, means over the strands that the model uses."""
    forward = bits(model, channels)
    if model.options.strand == "forward":
        return forward
    return (forward + bits(model, channels.flip(1, 2))) / 2


def gradients(model: Model, channels: torch.Tensor) -> np.ndarray:
    """``(L, 4, K)`` of one sequence."""
    x = channels[None].clone().requires_grad_()
    outputs = mean_bits(model, x)[0]
    found = [torch.autograd.grad(one, x, retain_graph=True)[0][0].T for one in outputs]
    return torch.stack(found, dim=2).numpy()


def explained(model: Model, method: str, codes: np.ndarray, **settings):
    scorer = GradientScorer(Ensemble.of(model), method, Integration(**settings))
    return scorer.explain([window_of(codes)])[0]


@pytest.mark.parametrize("strand", ["both", "forward"])
@pytest.mark.parametrize("models", [1, 2])
def test_mutagenesis_is_that_of_mutate(make, strand, models):
    each = [make(seed).with_options(strand=strand) for seed in range(models)]
    sequences = {"a": TEXT[:40], "b": TEXT, "c": TEXT[3:30] + "NN" + TEXT[60:70]}
    found = danq.attribute(each, sequences, method="ism")
    effects = danq.mutate(each, sequences).values[:, :, :2]
    mean = effects.mean(axis=1, keepdims=True)
    np.testing.assert_array_equal(found.hypothetical, effects - mean)
    known = found.base < 4
    assert known.sum() == len(known) - 2
    np.testing.assert_array_equal(found.attributions[known], -mean[known, 0])
    assert np.isnan(found.attributions[~known]).all()
    np.testing.assert_allclose(found.hypothetical[known].sum(axis=1), 0, atol=2e-5)


@pytest.mark.parametrize("strand", ["both", "forward"])
def test_gradients_are_those_of_autograd_in_float64(model, strand):
    exact = doubled(model).with_options(strand=strand)
    codes = codes_of(TEXT[:WINDOW])
    codes[20:23] = 4
    expected = gradients(exact, one_hot(codes))
    expected[20:23] = np.nan
    largest = np.nanmax(np.abs(expected))
    assert largest > 0.01
    found = explained(exact, "input-x-gradient", codes).hypothetical
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7 * largest)
    corrected = expected - expected.mean(axis=1, keepdims=True)
    found = explained(exact, "gradient", codes).hypothetical
    np.testing.assert_allclose(found, corrected, rtol=0, atol=1e-7 * largest)


@pytest.mark.parametrize("baseline", ["shuffle", "uniform"])
def test_integrated_gradients_are_the_integral_along_paths(model, baseline):
    exact = doubled(model)
    codes = codes_of(TEXT[:WINDOW])
    x, steps = one_hot(codes), 12
    starts = [torch.full_like(x, 0.25)]
    if baseline == "shuffle":
        starts = [one_hot(one) for one in dinucleotide_shuffles(codes, 3, 7)]
    expected = np.zeros((WINDOW, 4, 2))
    for start in starts:
        mean = sum(
            gradients(exact, start + (step + 0.5) / steps * (x - start)) / steps
            for step in range(steps)
        )
        own = (start.T.numpy()[:, :, None] * mean).sum(axis=1, keepdims=True)
        expected += (mean - own) / len(starts)
    found = explained(exact, "integrated-gradients", codes, baseline=baseline, shuffles=3,
                      steps=steps, seed=7)  # fmt: skip
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found.hypothetical, expected, rtol=0, atol=1e-7 * scale)
    with torch.no_grad():
        before = torch.stack([mean_bits(exact, start[None])[0] for start in starts]).mean(0)
        difference = (mean_bits(exact, x[None])[0] - before).numpy()
    np.testing.assert_allclose(found.completeness.difference, difference, atol=1e-12)
    total = expected[np.arange(WINDOW), codes].sum(axis=0)
    np.testing.assert_allclose(found.completeness.error, total - difference, atol=1e-12)


def test_more_steps_reduce_the_completeness_error(model):
    exact, codes = doubled(model), codes_of(TEXT[:WINDOW])
    errors = [
        np.abs(
            explained(
                exact, "integrated-gradients", codes, baseline="uniform", steps=steps
            ).completeness.error
        ).sum()
        for steps in (2, 1000)
    ]
    assert errors[1] < errors[0] / 20


def test_the_composition_is_that_of_the_source(make, tmp_path):
    model = make().with_options(strand="forward")
    (tmp_path / "g.fa").write_text(f">c1\n{'ACCC' * 50}\n>c2\n{'ANNN' * 50}\n")
    settings = Integration("composition", steps=8)
    regions = danq.Regions("c1:41-100", tmp_path / "g.fa")
    found = danq.attribute(model, regions, method="integrated-gradients", integration=settings)
    codes = codes_of("ACCC" * 15)
    fractions = np.array([100, 150, 0, 0]) / 250
    scorer = GradientScorer(Ensemble.of(model), "integrated-gradients", settings, fractions)
    expected = scorer.explain([window_of(codes)])[0].hypothetical
    np.testing.assert_array_equal(found.hypothetical, expected)
    assert "base composition" in found.baseline


OTHERS = {
    "several widths": {"further_widths": (4, 9)},
    "both strands": {"both_strands": True},
    "stages": {"stages": ({"channels": 6, "width": 3, "pool": 2},), "temporal": "none"},
    "norm": {"encoder_norm": True, "temporal": "gru"},
    "hard gates": {"gates": "hard"},
    "members": {"members": 2, "dense": ()},
    "layers": {"layers": 2, "step_stages": ({"channels": 4, "widths": (3,)},)},
    "unknown": {"unknown": 0.25},
    "padding": {"masks_padding": True, "pooling": "mean-max"},
}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("edge", ["", "NN"])
def test_every_architecture_has_gradients(make, name, edge):
    """Gradients at the bases predict small changes of a soft sequence: finite differences."""
    model = doubled(make(**OTHERS[name]).with_options(strand="forward"))
    text = edge + TEXT[: WINDOW - 2 * len(edge)] + edge
    codes = codes_of(text)
    found = explained(model, "input-x-gradient", codes).hypothetical[:, :, 0]
    known = np.flatnonzero(codes < 4)
    module = model.module.eval()
    unknown = OTHERS[name].get("unknown", 0.0)

    def output(channels: torch.Tensor) -> float:
        given, mask = channels[None], None
        if name == "padding":
            # The sequence is moved to the start of the input.
            moved, mask = module.aligned(torch.from_numpy(codes)[None])
            given = given.roll(-len(edge), dims=2)
            assert moved.shape[1] == given.shape[2]
            mask = None if bool(mask.all()) else mask
            numbers = super(type(module), module).forward(given, mask)
        else:
            numbers = module(given)
        return float(numbers[0, 0]) / math.log(2)

    x = one_hot(codes, unknown)
    with torch.no_grad():
        for position in known[:: len(known) // 5]:
            for base in range(4):
                change = torch.zeros_like(x)
                change[base, position] = 1e-6
                expected = (output(x + change) - output(x - change)) / 2e-6
                assert found[position, base] == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_amounts_have_gradients_of_amounts(make):
    model = make(targets=AMOUNTS).with_options(strand="forward")
    codes = codes_of(TEXT[:WINDOW])
    found = danq.attribute(model, TEXT[:WINDOW], method="input-x-gradient")
    expected = gradients(replace(doubled(model)), one_hot(codes)) * math.log(2) * [2.0, 3.0]
    np.testing.assert_allclose(found.hypothetical, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_reverse_complements_have_reversed_contributions(model, method):
    codes = codes_of(TEXT[:WINDOW])
    settings = {"integration": Integration("uniform", steps=20)} if method == METHODS[3] else {}
    text = TEXT[:WINDOW]
    turned = text[::-1].translate(str.maketrans("ACGT", "TGCA"))
    one, other = (danq.attribute(model, each, method=method, **settings) for each in (text, turned))
    assert len(one.base) == len(codes)
    np.testing.assert_allclose(one.hypothetical, other.hypothetical[::-1, ::-1], rtol=0, atol=2e-5)


@pytest.mark.parametrize("method", METHODS)
def test_an_ensemble_has_the_mean_of_its_models(make, method):
    models = [make(0), make(1)]
    settings = {"integration": Integration(shuffles=2, steps=8)} if method == METHODS[3] else {}
    each = [danq.attribute(one, TEXT, method=method, **settings).attributions for one in models]
    both = danq.attribute(models, TEXT, method=method, **settings)
    np.testing.assert_allclose(both.attributions, np.mean(each, axis=0), rtol=0, atol=1e-5)
    assert "mean over 2 models" in both.provenance["output"]


def test_short_and_long_sequences_have_the_windows_of_mutate(model):
    """A long sequence is tiled: each base has the contribution of the window of its tile."""
    found = danq.attribute(model, {"long": TEXT, "short": TEXT[:30]}, method="gradient")
    for first in range(0, 150, 20):
        last = min(first + 20, 150)
        start = (first + last) // 2 - WINDOW // 2
        around = "".join(TEXT[p] if 0 <= p < 150 else "N" for p in range(start, start + WINDOW))
        alone = explained(model, "gradient", codes_of(around))
        np.testing.assert_allclose(
            found.hypothetical[first:last],
            alone.hypothetical[first - start : last - start],
            rtol=0,
            atol=1e-4,
        )
    padded = explained(model, "gradient", codes_of("N" * 15 + TEXT[:30] + "N" * 15))
    np.testing.assert_allclose(
        found.hypothetical[found.bases(1)], padded.hypothetical[15:45], rtol=0, atol=1e-4
    )


def test_the_model_does_not_change(model):
    before = {name: value.clone() for name, value in model.module.state_dict().items()}
    danq.attribute(model, TEXT, method="gradient")
    assert all(one.requires_grad for one in model.module.parameters())
    assert all(not layer.training for layer in model.module.modules())
    for name, value in model.module.state_dict().items():
        assert torch.equal(value, before[name])
    assert danq.predict(model, TEXT[:WINDOW]).values.shape == (1, 2)


def test_captum_agrees(model):
    attr = pytest.importorskip("captum.attr", reason="captum is not installed")
    codes = codes_of(TEXT[:WINDOW])
    exact = doubled(model)
    x = one_hot(codes)[None]
    own = explained(exact, "input-x-gradient", codes)
    ours = attr.InputXGradient(lambda inputs: mean_bits(exact, inputs)).attribute(
        x.clone().requires_grad_(), target=1
    )
    np.testing.assert_allclose(own.attributions[:, 1], ours[0].sum(0).detach(), atol=1e-5)
    start = torch.full_like(x, 0.25)
    integrated = attr.IntegratedGradients(lambda inputs: mean_bits(exact, inputs))
    theirs, error = integrated.attribute(
        x, start, target=1, n_steps=20, method="riemann_middle", return_convergence_delta=True
    )
    found = explained(exact, "integrated-gradients", codes, baseline="uniform", steps=20)
    np.testing.assert_allclose(found.attributions[:, 1], theirs[0].sum(0).detach(), atol=1e-5)
    assert found.completeness.error[1] == pytest.approx(float(error), abs=1e-5)
    many = integrated.attribute(x, start, target=1, n_steps=1000)[0].sum(0).detach()
    found = explained(exact, "integrated-gradients", codes, baseline="uniform", steps=1000)
    np.testing.assert_allclose(found.attributions[:, 1], many, atol=2e-3 * float(many.abs().max()))


@pytest.mark.parametrize("method", METHODS)
def test_planted_bases_have_the_contributions(make, method):
    """A model whose only filter counts the bases of a motif, and whose output is its maximum."""
    motif = codes_of("GATAAGCT")
    model = make(
        filters=1, width=8, pool=1, temporal="none", pooling="max", dense=(), tracks=("a",)
    )
    layer = model.module.encoder
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[0, torch.from_numpy(motif).long(), torch.arange(8)] = 1.0
        layer.bias.fill_(-5.0)
        model.module.head.output.weight.fill_(2.0)
        model.module.head.output.bias.zero_()
    text = "CCGCC" + "GATAAGCT" + "GGCGC"
    settings = {"integration": Integration("uniform", steps=50)} if method == METHODS[3] else {}
    forward = model.with_options(strand="forward")
    found = danq.attribute(forward, text, method=method, **settings).track("a")
    planted = np.zeros(len(text), bool)
    planted[5:13] = True
    assert np.abs(found[~planted]).max() < 1e-5
    # The output is 2 (8 - 5) / ln 2 bits. Without a base it is smaller by 2 / ln 2.
    unit = 2 / math.log(2)
    expected = {"ism": 3 / 4 * unit, "gradient": 3 / 4 * unit, "input-x-gradient": unit}
    if method in expected:
        np.testing.assert_allclose(found[planted], expected[method], rtol=1e-5)
    else:
        np.testing.assert_allclose(found[planted], 3 * unit / 8, rtol=0.03)
