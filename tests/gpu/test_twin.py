"""Twins of models against the models: in Triton's interpreter, or on a card."""

from __future__ import annotations

import copy
import threading

import pytest
import torch
from torch import nn

from danq.gpu.batch_graph import BatchGraph
from danq.gpu.fused_conv import FusedConv
from danq.gpu.fused_lstm import FusedLstm
from danq.gpu.padded_dense import PaddedDense
from danq.gpu.twin import example_codes, has_hooks, is_static, make_twin
from tests.gpu.small_models import KINDS, LENGTH, codes, small_model

FUSED = (FusedConv, FusedLstm, PaddedDense)


def kinds_of(twin: nn.Module) -> set[str]:
    return {type(part).__name__ for part in twin.modules() if isinstance(part, FUSED)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_twin_computes_what_the_model_computes(device, kind):
    model = small_model(kind).to(device).eval()
    twin, _ = make_twin(model, torch.float32, fixed=False)
    x = codes(3).to(device)
    # cuDNN gives no gradients of recurrent layers in evaluation mode.
    with torch.backends.cudnn.flags(enabled=False):
        found, wanted = twin(x), model(x)
        parameters = list(model.parameters())
        wanted_grads = torch.autograd.grad(wanted.square().sum(), parameters)
        grads = torch.autograd.grad(found.square().sum(), parameters)
    # On a card, torch's own convolution rounds to 10 bits.
    close = {"rtol": 1e-4, "atol": 1e-5 if device.type == "cpu" else 2e-3}
    torch.testing.assert_close(found, wanted, **close)
    assert {id(p) for p in twin.parameters()} == {id(p) for p in model.parameters()}
    for a, b in zip(grads, wanted_grads, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5 if device.type == "cpu" else 2e-3)


def test_which_layers_are_fused(device):
    everything = {"FusedConv", "FusedLstm", "PaddedDense"}
    for kind, wanted, reasons in (
        ("danq", everything, []),
        ("several widths", everything, []),
        ("stages", everything, []),
        ("gru", everything - {"FusedLstm"}, ["its recurrent cell is a GRU"]),
        ("hard gates", everything - {"FusedLstm"}, ["its LSTM has hard gates"]),
        ("tcn", everything - {"FusedLstm"}, []),
        ("members", {"FusedLstm"}, []),
    ):
        model = small_model(kind).to(device)
        twin, found = make_twin(model, torch.float32, fixed=True)
        assert kinds_of(twin) == wanted
        assert list(found) == reasons
        assert kinds_of(model) == set()


def test_a_model_without_layers_that_fit_is_returned(device):
    model = small_model("hard gates")
    model.encoder = nn.Identity()
    model.head = None
    assert make_twin(model, torch.float32, fixed=True)[0] is model


def test_training_mode_and_dropout_are_shared(device):
    model = small_model("two layers").to(device)
    twin, _ = make_twin(model, torch.float32, fixed=False)
    assert twin.encoder_dropout is model.encoder_dropout
    twin.eval()
    assert not model.encoder_dropout.training
    twin.train()
    assert model.encoder_dropout.training


def test_dropout_is_active_in_training(device):
    model = small_model("danq", encoder_dropout=0.5, temporal_dropout=0.5).to(device).train()
    twin, _ = make_twin(model, torch.float32, fixed=False)
    x = codes(4).to(device)

    def seeded(module: nn.Module, seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return module(x).detach()

    found = seeded(twin, 1)
    assert torch.equal(seeded(twin, 1), found)
    assert not torch.allclose(seeded(twin, 2), found, atol=1e-4)
    if device.type == "cpu":  # elsewhere, masks depend on the order of values in memory
        torch.testing.assert_close(found, seeded(model, 1), rtol=1e-4, atol=1e-5)


def test_hooks_are_found(device):
    model = small_model()
    assert not has_hooks(model)
    handle = model.temporal.rnn.register_forward_hook(lambda *_: None)
    assert has_hooks(model)
    handle.remove()
    assert not has_hooks(model)


@pytest.mark.parametrize("kind", KINDS)
def test_example_windows_have_the_shortest_length(kind):
    model = small_model(kind)
    found = example_codes(model, torch.device("cpu"))
    model(found)
    steps = model.encoder.steps(found.shape[1])
    assert model.encoder.steps(found.shape[1] - 1) == steps - 1


def test_example_windows_leave_random_numbers_as_they_are():
    model = small_model()
    torch.manual_seed(3)
    wanted = torch.rand(1)
    torch.manual_seed(3)
    example_codes(model, torch.device("cpu"))
    assert torch.equal(torch.rand(1), wanted)


def test_layers_of_cudnn_make_a_twin_that_is_not_static(device):
    for kind, wanted in (("danq", True), ("gru", False), ("tcn", True)):
        twin, _ = make_twin(small_model(kind).to(device), torch.float32, fixed=True)
        assert is_static(twin) == wanted


@pytest.mark.parametrize("kind", ["danq", "gru"])
def test_batches_of_any_size_in_any_order(device, kind):
    model = small_model(kind).to(device).eval()
    twin, _ = make_twin(copy.deepcopy(model), torch.float32, fixed=True)
    fast = BatchGraph(twin, device, "fp32", static=is_static(twin))
    close = {"rtol": 1e-4, "atol": 1e-5 if device.type == "cpu" else 2e-3}
    kept = []
    for number, rows in enumerate((3, 3, 3, 1, 2, 5, 5, 5, 4)):
        x = codes(rows, seed=number).to(device)
        found = fast(x)
        with torch.no_grad():
            torch.testing.assert_close(found, model(x), **close)
        assert found.shape == (rows, 5)
        assert found.dtype == torch.float32
        kept.append((found, found.clone()))
    assert all(torch.equal(one, other) for one, other in kept)
    longer = codes(2, LENGTH).to(device)
    soft = nn.functional.one_hot(longer.long(), 5)[..., :4].transpose(1, 2).float()
    torch.testing.assert_close(fast(soft), fast(longer), **close)


def test_a_batch_is_computed_alike_whatever_came_before_it(device, monkeypatch):
    twin, _ = make_twin(small_model().to(device).eval(), torch.float32, fixed=True)
    fast = BatchGraph(twin, device, "fp32", static=True)
    sizes, forward = [], twin.forward
    monkeypatch.setattr(twin, "forward", lambda x: sizes.append(len(x)) or forward(x))
    x = codes(5).to(device)
    wanted = fast(x[:2])
    fast(x)
    assert torch.equal(fast(x[:2]), wanted)
    assert sizes == [2, 5, 2]


def test_threads_that_share_a_graph_take_turns(device):
    class Slow(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            begun.set()
            other.wait(0.3)  # time for the other thread to replace the codes
            return x.float()

    begun, other = threading.Event(), threading.Event()
    fast = BatchGraph(Slow(), torch.device("cpu"), "fp32", static=True)
    first, second = codes(2, seed=1), codes(2, seed=2)
    found: list[torch.Tensor] = []

    def work() -> None:
        begun.wait(30)
        found.append(fast(second))
        other.set()

    thread = threading.Thread(target=work)
    thread.start()
    assert torch.equal(fast(first), first.float())
    thread.join()
    assert torch.equal(found[0], second.float())


@pytest.mark.parametrize("kind", ["danq", "stages", "several widths", "hard gates"])
def test_a_weight_that_is_nan_gives_nan_as_in_the_model(device, kind):
    for number, (name, _) in enumerate(small_model(kind).named_parameters()):
        model = small_model(kind).to(device).eval()
        values = model.get_parameter(name).data.view(-1)
        values[number % len(values)] = float("nan")
        twin, _ = make_twin(model, torch.float32, fixed=True)
        with torch.no_grad():
            wanted, found = model(codes(2).to(device)), twin(codes(2).to(device))
        assert wanted.isnan().any(dim=1).all(), name
        assert torch.equal(found.isnan(), wanted.isnan()), name
