"""What only a card can show: bfloat16, CUDA graphs, streams, a training from end to end."""

from __future__ import annotations

import copy
import logging
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from danq.core import OneHotConv, Recurrent
from danq.gpu import accelerate, accelerate_training, acceleration
from danq.gpu.batch_graph import BatchGraph
from danq.gpu.fused_conv import FusedConv
from danq.gpu.fused_lstm import FusedLstm
from danq.gpu.graph import Graph, side_by_side
from danq.models import build
from danq.models.architecture import Architecture, build_module
from danq.provenance import Provenance
from danq.training import Fit, Recipe, RunSettings
from danq.training.checkpoint import Checkpoints
from danq.training.fabric import make_fabric
from danq.training.window_problem import WindowProblem
from tests.gpu.small_models import SMALL, codes, small_model
from tests.small_dataset import small_dataset

pytestmark = pytest.mark.gpu


@pytest.fixture
def warnings_of(caplog) -> list[str]:
    """Warnings of danq until now, when called."""
    caplog.set_level(logging.INFO, "danq")
    return lambda: [one.message for one in caplog.records if one.levelno >= logging.WARNING]


def share(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found.double() - wanted.double()).norm() / wanted.double().norm())


@pytest.mark.parametrize(("width", "pool"), [(26, 13), (30, 15), (8, 4), (3, 1)])
def test_the_first_layer_in_bfloat16(card, width, pool):
    torch.manual_seed(0)
    layer = OneHotConv(70, width, pool=pool).to(card)
    torch.nn.init.normal_(layer.weight)
    with torch.no_grad():  # weights that bfloat16 can hold, so that the same positions win
        layer.weight.copy_(layer.weight.to(torch.bfloat16))
    x = codes(5, 300).to(card)
    wanted = layer.double().plain(x)
    upstream = torch.randn(wanted.shape, device=card).to(torch.bfloat16)
    wanted_grads = torch.autograd.grad(wanted, (layer.weight, layer.bias), upstream.double())
    found = FusedConv(layer.float(), torch.bfloat16)(x)
    assert found.dtype == torch.bfloat16
    # Products are exact and sums float32; only the outputs are rounded, to 8 bits.
    torch.testing.assert_close(found.double(), wanted, rtol=2**-8, atol=1e-4)
    grads = torch.autograd.grad(found, (layer.weight, layer.bias), upstream)
    for a, b in zip(grads, wanted_grads, strict=True):
        assert share(a, b) < 1e-3


def test_the_lstm_in_bfloat16(card):
    torch.manual_seed(0)
    plain = Recurrent(320, 320).to(card)
    exact = copy.deepcopy(plain).double()
    x = torch.randn(64, 75, 320, device=card).to(torch.bfloat16).requires_grad_()
    wide = x.detach().double().requires_grad_()
    wanted = exact(wide)
    upstream = torch.randn_like(wanted)
    wanted_grads = torch.autograd.grad(wanted, [wide, *exact.parameters()], upstream)
    fused = FusedLstm(plain, torch.bfloat16)
    cudnn = copy.deepcopy(plain)
    other = x.detach().clone().requires_grad_()
    with torch.autocast("cuda", torch.bfloat16):
        reference = cudnn(other)
    reference_grads = torch.autograd.grad(
        reference, [other, *cudnn.parameters()], upstream.to(reference.dtype)
    )
    for _ in range(3):  # compiled, recorded, replayed
        found = fused(x)
        grads = torch.autograd.grad(found, [x, *plain.parameters()], upstream.to(torch.bfloat16))
        # As exact as torch's own layer in bfloat16, with a margin for another order of sums.
        assert share(found, wanted) < 1.5 * share(reference, wanted) + 1e-3
        for a, b, c in zip(grads, wanted_grads, reference_grads, strict=True):
            assert share(a, b) < 1.5 * share(c, b) + 1e-3


def test_recorded_and_replayed_steps_are_those_that_were_launched(card, warnings_of):
    torch.manual_seed(0)
    plain = Recurrent(40, 24).to(card)
    fused = FusedLstm(plain, torch.bfloat16)
    x = torch.randn(32, 9, 40, device=card)

    def step(x: torch.Tensor) -> list[torch.Tensor]:
        out = fused(x)
        return [out, *torch.autograd.grad(out.square().sum(), list(plain.parameters()))]

    first = step(x)
    for _ in range(3):
        assert all(map(torch.equal, first, step(x)))
    small = step(x[:7])
    assert torch.equal(small[0], first[0][:7])
    assert all(map(torch.equal, first, step(x)))
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter.mul_(1.5)  # as an optimizer changes them, in place
    fresh = FusedLstm(plain, torch.bfloat16)(x)
    assert torch.equal(step(x)[0], fresh)
    assert warnings_of() == []


def test_streams_side_by_side(card):
    x = torch.zeros(3, 1 << 22, device=card)
    for _ in range(20):
        x.add_(1)
        side_by_side(card, [lambda: x[0].mul_(2), lambda: x[1].mul_(3)])
        x[2] = x[0] + x[1]
    wanted = [0.0, 0.0]
    for _ in range(20):
        wanted = [2 * (wanted[0] + 1), 3 * (wanted[1] + 1)]
    assert x[0].unique().tolist() == pytest.approx([wanted[0]], rel=1e-5)
    assert x[1].unique().tolist() == pytest.approx([wanted[1]], rel=1e-5)
    assert x[2].unique().tolist() == pytest.approx([sum(wanted)], rel=1e-5)


def test_a_function_that_waits_for_the_device_is_run_without_a_graph(card, warnings_of):
    x = torch.zeros(1, device=card)
    seen = []

    def function() -> None:
        x.add_(1)
        seen.append(x.item())

    graph = Graph(function, card)
    graph()
    graph()
    x.zero_()
    graph()
    assert x.item() == 1
    assert len(warnings_of()) == 1
    assert "no CUDA graph could be recorded" in warnings_of()[0]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("preset", ["danq", "danq-small", "deepsea"])
def test_presets_are_fused_without_a_warning(card, preset, precision, monkeypatch, warnings_of):
    monkeypatch.setattr(acceleration, "_compared", set())
    torch.manual_seed(0)
    model = build(preset, tracks=7, window=1000).to(card).eval()
    fast = accelerate(model, card, precision)
    assert isinstance(fast, BatchGraph)
    x = codes(200, 1000).to(card)
    with torch.no_grad():
        wanted = copy.deepcopy(model).double()(x)
    bound = 0.03 if precision == "bf16" else 2e-3
    for rows in (200, 200, 200, 13, 200):
        assert share(fast(x[:rows]), wanted[:rows]) < bound
    assert accelerate_training(model.train(), card, precision) is not model
    assert warnings_of() == []


def train(module, steps: int, card, precision: str) -> tuple[list[float], torch.nn.Module]:
    trained = accelerate_training(module, card, precision) if precision != "plain" else module
    optimizer = torch.optim.AdamW(module.parameters(), lr=3e-3, fused=True)
    losses = []
    for step in range(steps):
        torch.manual_seed(step)
        x = codes(256, seed=step).to(card)
        labels = (x[:, 28:33] == 2).float()
        loss = F.binary_cross_entropy_with_logits(trained(x).float(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, module


def trainable(card) -> torch.nn.Module:
    # Without dropout, whose masks depend on the order of values in memory.
    settings = {"filters": 64, "pool": 3, "hidden": 32, "dense": (40,)}
    return small_model(**settings, encoder_dropout=0, temporal_dropout=0).to(card).train()


def test_training_equals_that_of_torch_s_layers(card, warnings_of):
    plain, _ = train(trainable(card), 60, card, "plain")
    exact, _ = train(trainable(card), 60, card, "fp32")
    rounded, _ = train(trainable(card), 60, card, "bf16")
    assert plain[-1] < 0.9 * plain[0]
    # The first steps differ by rounding alone; later ones drift apart as runs do.
    assert exact[:5] == pytest.approx(plain[:5], rel=5e-3)
    assert rounded[:5] == pytest.approx(plain[:5], rel=2e-2)
    assert sum(exact[-10:]) == pytest.approx(sum(plain[-10:]), rel=0.1)
    assert sum(rounded[-10:]) == pytest.approx(sum(plain[-10:]), rel=0.1)
    assert warnings_of() == []


def test_training_twice_gives_the_same_bits(card):
    one, first = train(trainable(card), 12, card, "bf16")
    other, second = train(trainable(card), 12, card, "bf16")
    assert one == other
    assert all(map(torch.equal, first.parameters(), second.parameters()))


def small_fit(device: torch.device, folder: Path) -> Fit:
    """A training of a small model on 60-base windows that is ready to start."""
    recipe = Recipe(batch_size=32, epochs=1, averaging=0.99)
    run = RunSettings(device=str(device), precision="bf16" if device.type == "cuda" else "fp32")
    checkpoints = Checkpoints(folder, Provenance(settings={}, inputs={}))
    dataset = small_dataset(900, 20_000)
    model = build_module(Architecture.model_validate(SMALL), 2, dataset.window)
    fabric = make_fabric(device, run)
    return Fit(model, WindowProblem(dataset, recipe), recipe, fabric, run, checkpoints)


def test_training_steps_do_not_wait_for_the_card(card, tmp_path, warnings_of):
    fit = small_fit(card, tmp_path)
    fit.module.train()
    losses = []
    batches = fit.batches.epoch(0)
    for step, batch in enumerate(batches):
        # The first steps compile and record.
        torch.cuda.set_sync_debug_mode("error" if step > 2 and len(batch[0]) == 32 else "default")
        try:
            losses.append(fit._step(*batch))
        finally:
            torch.cuda.set_sync_debug_mode("default")
        fit.progress.step += 1
    assert len(losses) > 6
    assert all(loss.isfinite() for loss in losses)
    assert warnings_of() == []
