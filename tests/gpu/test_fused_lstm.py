"""The fused LSTM against torch's layers in float64: in Triton's interpreter, or on a card."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from danq.core import Recurrent
from danq.gpu import fused_lstm
from danq.gpu.fused_lstm import FusedLstm, why_not

# Gates in float32 through 8 steps: 1e-7 for each of some ten roundings per step.
CLOSE = {"rtol": 1e-5, "atol": 5e-6}


def layers(device: torch.device, seed: int, **shape) -> tuple[FusedLstm, Recurrent, Recurrent]:
    """A fused layer, the layer whose parameters it uses, and that layer in float64."""
    torch.manual_seed(seed)
    plain = Recurrent(**shape).to(device)
    return FusedLstm(plain, torch.float32), plain, copy.deepcopy(plain).double()


def inputs(device, rows: int, steps: int, features: int, *, masked: bool):
    x = torch.randn(rows, steps, features, device=device)
    if not masked:
        return x, None
    lengths = torch.randint(1, steps + 1, (rows, 1), device=device)
    return x, torch.arange(steps, device=device) < lengths


def compare(fused: FusedLstm, plain: Recurrent, exact: Recurrent, x, mask) -> None:
    x, wide = x.clone().requires_grad_(), x.double().requires_grad_()
    found, wanted = fused(x, mask), exact(wide, mask)
    torch.testing.assert_close(found.double(), wanted, **CLOSE)
    upstream = torch.randn_like(wanted)
    grads = torch.autograd.grad(found, [x, *plain.parameters()], upstream.float())
    wanted_grads = torch.autograd.grad(wanted, [wide, *exact.parameters()], upstream)
    for a, b in zip(grads, wanted_grads, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(fused(x, mask), found, rtol=0, atol=1e-6)


shapes = st.fixed_dictionaries(
    {
        "in_features": st.integers(1, 9),
        "hidden": st.integers(1, 9),
        "bidirectional": st.booleans(),
        "layers": st.integers(1, 2),
        "seed": st.integers(0, 2**31),
    }
)


@settings(max_examples=10, deadline=None)
@given(shape=shapes, rows=st.integers(1, 5), steps=st.integers(1, 5), masked=st.booleans())
def test_values_and_gradients_equal_those_of_torch(device, shape, rows, steps, masked):
    fused, plain, exact = layers(device, **shape)
    x, mask = inputs(device, rows, steps, shape["in_features"], masked=masked)
    compare(fused, plain, exact, x, mask)


def test_batches_of_other_sizes_and_lengths(device):
    fused, plain, exact = layers(device, 1, in_features=5, hidden=6)
    for rows, steps in ((4, 3), (2, 3), (1, 3), (4, 3), (6, 3), (2, 5)):
        compare(fused, plain, exact, *inputs(device, rows, steps, 5, masked=False))
    compare(fused, plain, exact, *inputs(device, 3, 5, 5, masked=True))
    compare(fused, plain, exact, *inputs(device, 2, 5, 5, masked=True))


@pytest.mark.parametrize("steps", [5, 6, 7])
def test_inference_multiplies_the_inputs_of_a_few_steps_at_a_time(device, monkeypatch, steps):
    fused, *_ = layers(device, 7, in_features=3, hidden=4)
    x, mask = inputs(device, 3, steps, 3, masked=True)
    wanted = fused(x, mask)
    monkeypatch.setattr(fused_lstm, "CHUNK", 3)
    with torch.no_grad():
        torch.testing.assert_close(fused(x, mask), wanted, rtol=0, atol=1e-6)


def test_the_scan_works_in_the_memory_of_the_largest_batch(device):
    fused, *_ = layers(device, 1, in_features=5, hidden=6)
    x, _ = inputs(device, 4, 3, 5, masked=False)
    fused(x)
    scan = fused.layers[0]._scan
    fused(x[:3])
    assert fused.layers[0]._scan is scan


def test_a_small_batch_before_large_ones_is_computed_as_after_them(device):
    _, plain, _ = layers(device, 1, in_features=5, hidden=6)
    x, _ = inputs(device, 4, 3, 5, masked=False)
    known = FusedLstm(plain, torch.float32, rows=4)
    small, scan = known(x[:1]), known.layers[0]._scan
    assert scan is not None
    assert scan.x.shape[1] == 4
    known(x)
    assert torch.equal(known(x[:1]), small)
    assert known.layers[0]._scan is scan


def test_padding_is_zero_and_changes_nothing(device):
    fused, *_ = layers(device, 2, in_features=3, hidden=4)
    x, mask = inputs(device, 3, 4, 3, masked=False)[0], torch.ones(3, 4, dtype=torch.bool)
    mask[1, 2:] = False
    mask = mask.to(device)
    other = x.clone()
    other[1, 2:] = float("nan")
    found = fused(x, mask)
    wanted = torch.autograd.grad(found.sum(), fused.plain.rnn.weight_ih_l0)
    other.requires_grad_()
    again = fused(other, mask)
    assert torch.equal(again, found)
    assert found[1, 2:].abs().sum() == 0
    grads = torch.autograd.grad(again.sum(), [fused.plain.rnn.weight_ih_l0, other])
    assert torch.equal(grads[0], wanted[0])
    assert grads[1][1, 2:].abs().sum() == 0


def test_changed_weights_are_used_unless_they_are_fixed(device):
    fused, plain, _ = layers(device, 3, in_features=3, hidden=4)
    fixed = FusedLstm(plain, torch.float32, fixed=True)
    x, _ = inputs(device, 2, 3, 3, masked=False)
    before = fused(x).detach()
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter.mul_(2)
        assert torch.equal(fixed(x), before)
        changed = fused(x)
    assert not torch.equal(changed, before)
    torch.testing.assert_close(fused(x), changed, rtol=0, atol=1e-6)


def test_weights_that_were_moved_are_used(device):
    fused, plain, _ = layers(device, 4, in_features=3, hidden=4)
    x, _ = inputs(device, 2, 3, 3, masked=False)
    before = fused(x).detach()
    for parameter in plain.parameters():
        parameter.data = parameter.data * 2
    assert not torch.equal(fused(x), before)


def test_a_backward_pass_after_another_call_is_refused(device):
    fused, *_ = layers(device, 5, in_features=3, hidden=4)
    x, _ = inputs(device, 2, 3, 3, masked=False)
    first = fused(x).sum()
    second = fused(x).sum()
    with pytest.raises(RuntimeError, match="needs each backward pass before its next"):
        first.backward()
    second.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="needs each backward pass before its next"):
        second.backward()


def test_a_result_is_not_overwritten_by_the_next_call(device):
    fused, *_ = layers(device, 6, in_features=3, hidden=4)
    x, _ = inputs(device, 2, 3, 3, masked=False)
    first = fused(x)
    kept = first.detach().clone()
    fused(2 * x)
    assert torch.equal(first, kept)


@pytest.mark.parametrize(("rows", "steps"), [(1, 3), (3, 1), (2, 3)])
def test_a_gradient_is_not_overwritten_by_the_next_call(device, rows, steps):
    fused, *_ = layers(device, 6, in_features=3, hidden=4)
    x = inputs(device, rows, steps, 3, masked=False)[0].requires_grad_()
    (first,) = torch.autograd.grad(fused(x).sum(), x)
    kept = first.clone()
    torch.autograd.grad(2 * fused(x).sum(), x)
    assert torch.equal(first, kept)


def test_other_cells_are_named():
    assert why_not(Recurrent(3, 4, kind="gru")) == "its recurrent cell is a GRU"
    assert why_not(Recurrent(3, 4, gates="hard")) == "its LSTM has hard gates"
    assert why_not(Recurrent(3, 4)) is None
